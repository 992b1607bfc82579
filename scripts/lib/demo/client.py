"""A client of Home Assistant's REST and WebSocket APIs; the e2e tests drive theirs by it too."""

import asyncio
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

import aiohttp

USER, PASSWORD = "demo", "demo"


class Refused(Exception):
    """Home Assistant answered with an error."""


class Client:
    """Logged in to one server; reconnects when asked to after a restart."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http: aiohttp.ClientSession
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._token = ""
        self._next = 0

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.forget()
        await self._http.close()

    async def forget(self) -> None:
        """Let go of the socket (the server restarts)."""
        if self._socket is not None:
            await self._socket.close()
            self._socket = None

    async def answers(self) -> bool:
        """Whether a server is there at all."""
        try:
            async with self._http.get(f"{self.url}/manifest.json") as answer:
                return answer.status == 200
        except aiohttp.ClientError, OSError:
            return False

    async def running(self) -> bool:
        """Whether it has finished to start; logs in if need be."""
        try:
            if not self._token:
                await self.login()
            return bool((await self.get("/api/config"))["state"] == "RUNNING")
        except aiohttp.ClientError, OSError, Refused, KeyError:
            return False

    async def onboard(self) -> None:
        """Make the first user; nothing if that was done before (files.py does the other steps)."""
        if all(step["done"] for step in await self._json("GET", "/api/onboarding")):
            return
        created = await self._json(
            "POST",
            "/api/onboarding/users",
            {
                "client_id": f"{self.url}/",
                "name": "Demo",
                "username": USER,
                "password": PASSWORD,
                "language": "en",
            },
        )
        await self._take_token(created["auth_code"])

    async def login(self) -> None:
        """Log in as the demo's user."""
        client = {"client_id": f"{self.url}/"}
        flow = await self._json(
            "POST",
            "/auth/login_flow",
            {**client, "handler": ["homeassistant", None], "redirect_uri": f"{self.url}/"},
        )
        done = await self._json(
            "POST",
            f"/auth/login_flow/{flow['flow_id']}",
            {**client, "username": USER, "password": PASSWORD},
        )
        if "result" not in done:
            raise Refused("the login was refused")
        await self._take_token(done["result"])

    async def _take_token(self, code: str) -> None:
        form = {
            "client_id": f"{self.url}/",
            "grant_type": "authorization_code",
            "code": code,
        }
        async with self._http.post(f"{self.url}/auth/token", data=form) as answer:
            self._token = (await answer.json())["access_token"]

    async def _json(self, method: str, path: str, data: object = None) -> Any:
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        async with self._http.request(
            method, self.url + path, json=data, headers=headers
        ) as answer:
            if answer.status >= 400:
                raise Refused(f"{method} {path}: {answer.status} {await answer.text()}")
            return await answer.json()

    async def get(self, path: str) -> Any:
        """GET as JSON."""
        return await self._json("GET", path)

    async def post(self, path: str, data: object) -> Any:
        """POST JSON."""
        return await self._json("POST", path, data)

    async def states(self) -> dict[str, dict[str, Any]]:
        """All states by entity id."""
        return {state["entity_id"]: state for state in await self.get("/api/states")}

    async def state(self, entity_id: str) -> str:
        """One state; ``missing`` if there is no such entity."""
        try:
            return str((await self.get(f"/api/states/{entity_id}"))["state"])
        except Refused:
            return "missing"

    async def act(self, action: str, entity_id: str, **data: object) -> None:
        """Call an action, ``domain.name``."""
        path = "/api/services/" + action.replace(".", "/")
        await self.post(path, {"entity_id": entity_id, **data})

    async def answer(self, action: str, **data: object) -> Any:
        """Call an action that answers; its answer."""
        path = "/api/services/" + action.replace(".", "/") + "?return_response"
        return (await self.post(path, data))["service_response"]

    async def command(self, kind: str, **data: object) -> Any:
        """A command of the WebSocket API; its result."""
        if self._socket is None or self._socket.closed:
            self._socket = await self._http.ws_connect(f"{self.url}/api/websocket")
            await self._socket.receive_json()
            await self._socket.send_json({"type": "auth", "access_token": self._token})
            answer = await self._socket.receive_json()
            if answer["type"] != "auth_ok":
                raise Refused("the WebSocket refused the token")
        self._next += 1
        await self._socket.send_json({"id": self._next, "type": kind, **data})
        while True:
            answer = await self._socket.receive_json()
            if answer.get("id") == self._next and answer["type"] == "result":
                break
        if not answer["success"]:
            raise Refused(f"{kind}: {answer['error']['message']}")
        return answer["result"]

    async def flow(self, path: str, handler: object, *answers: Answer) -> dict[str, Any]:
        """Walk a flow: each answer is the user's input, or makes it of the form that is shown."""
        shown = await self.post(path, {"handler": handler})
        for answer in answers:
            given = answer(shown) if callable(answer) else dict(answer)
            step = shown.get("step_id")
            shown = await self.post(f"{path}/{shown['flow_id']}", given)
            if shown.get("errors"):
                raise Refused(f"{handler}, {step}: {shown['errors']}")
        if shown["type"] != "create_entry":
            raise Refused(f"{handler}: ended with {shown['type']} {shown.get('reason')}")
        return dict(shown)


type Answer = Mapping[str, object] | Callable[[dict[str, Any]], dict[str, object]]


async def until[T](
    find: Callable[[], Any], what: str, seconds: float = 60.0, every: float = 0.2
) -> T:
    """Wait for ``find`` (a coroutine function) to give something true.

    Raises:
        TimeoutError: not in that time; ``what`` says what did not come.
    """
    try:
        async with asyncio.timeout(seconds):
            while not (found := await find()):  # noqa: ASYNC110 (a server tells no Event)
                await asyncio.sleep(every)
    except TimeoutError:
        raise TimeoutError(f"{what}: not within {seconds:.0f} s") from None
    return found  # type: ignore[no-any-return]
