"""Run one camera until stopped; prints ``ready ONVIF-PORT RTSP-PORT``."""

import argparse
import asyncio
import contextlib
import signal

from . import Camera, CameraConfig


async def _main(config: CameraConfig) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with Camera(config) as camera:
        print("ready", camera.onvif.port, camera.rtsp.port, flush=True)
        await stop.wait()


def _parse() -> CameraConfig:
    parser = argparse.ArgumentParser(prog="python -m tests.camera", description=__doc__)
    default = CameraConfig()
    parser.add_argument("--name", default=default.name)
    parser.add_argument("--host", default=default.host)
    parser.add_argument("--onvif-port", type=int, default=0)
    parser.add_argument("--rtsp-port", type=int, default=0)
    parser.add_argument("--user")
    parser.add_argument("--password", default="")
    parser.add_argument("--auth", default="digest", choices=["digest", "digest-sha256", "basic"])
    parser.add_argument("--no-audio", dest="audio", action="store_false")
    parser.add_argument("--sound", default=default.sound, choices=["aac", "g726"])
    parser.add_argument("--metadata", action="store_true")
    parser.add_argument("--width", type=int, default=default.width)
    parser.add_argument("--height", type=int, default=default.height)
    parser.add_argument("--fps", type=int, default=default.fps)
    parser.add_argument("--gop", type=int, default=default.gop)
    parser.add_argument("--discovery", action="store_true")
    parser.add_argument("--media2", action="store_true")
    parser.add_argument("--inputs", type=int, default=default.inputs)
    parser.add_argument("--relays", type=int, default=default.relays)
    return CameraConfig(**vars(parser.parse_args()))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main(_parse()))
