"""An ipycam camera with a moving picture; run by an environment of its own."""

import sys
import time

import numpy as np
from ipycam import CameraConfig, IPCamera

onvif, rtsp, user, password = sys.argv[1:5]
config = CameraConfig(
    name="Independent",
    local_ip="127.0.0.1",
    onvif_port=int(onvif),
    web_port=int(onvif) + 1,
    rtsp_port=int(rtsp),
    username=user,
    password=password,
    main_width=640,
    main_height=360,
    main_fps=10,
    main_bitrate="1M",
)
camera = IPCamera(config)
if not camera.start():
    raise SystemExit("it does not start")
picture = np.zeros((360, 640, 3), dtype=np.uint8)
count = 0
while camera.is_running:
    picture[:] = 40
    picture[100:160, (count * 8) % 560 : (count * 8) % 560 + 60] = (40, 160, 240)
    camera.stream(picture)
    count += 1
    if count == 10:
        print("ready", flush=True)
    time.sleep(0.1)
