# A peer on aiortc, driven by the lines of README.md: `aiortc_peer.py SETTINGS`.
import asyncio
import json
import sys
import time
import zlib

import aiortc
from aiortc.sdp import candidate_from_sdp

HIGH = 1024 * 1024


def tell(**event):
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def now():
    return time.time() * 1000


def content(kind, size, seed):
    out, x = bytearray(size), seed & 0xFFFFFFFF
    for at in range(size):
        x = (x * 1664525 + 1013904223) & 0xFFFFFFFF
        out[at] = 97 + (x >> 24) % 26 if kind == "text" else x >> 24
    return out.decode() if kind == "text" else bytes(out)


class Peer:
    def __init__(self, settings):
        self.connection = aiortc.RTCPeerConnection(
            aiortc.RTCConfiguration(
                iceServers=[aiortc.RTCIceServer(**server) for server in settings["servers"]],
                iceTransportPolicy=aiortc.RTCIceTransportPolicy(settings["policy"]),
            )
        )
        self.channels = {}
        self.queues = {}
        self.connection.on("datachannel", self.adopt)
        self.connection.on("connectionstatechange", lambda: tell(state=self.connection.connectionState))

    def adopt(self, channel):
        label = channel.label
        self.channels[label] = channel

        def opened():
            tell(
                open=label,
                ordered=channel.ordered,
                maxRetransmits=channel.maxRetransmits,
                maxPacketLifeTime=channel.maxPacketLifeTime,
                protocol=channel.protocol,
            )

        def message(data):
            at, text = now(), isinstance(data, str)
            data = data.encode() if text else data
            kind = "text" if text else "binary"
            tell(message={"label": label, "kind": kind, "size": len(data), "hash": zlib.crc32(data), "at": at})

        channel.on("message", message)
        channel.on("close", lambda: tell(closed=label))
        if channel.readyState == "open":
            opened()
        else:
            channel.on("open", opened)

    async def describe(self, description):
        await self.connection.setLocalDescription(description)
        local = self.connection.localDescription
        # aiortc gathers first: its description holds all candidates.
        tell(signal={"type": local.type, "sdp": local.sdp})
        tell(signal={"candidate": ""})

    async def open(self, label, ordered=True, maxRetransmits=None, maxPacketLifeTime=None, negotiated=None, protocol=""):
        more = {} if negotiated is None else {"negotiated": True, "id": negotiated}
        self.adopt(
            self.connection.createDataChannel(
                label,
                ordered=ordered,
                maxRetransmits=maxRetransmits,
                maxPacketLifeTime=maxPacketLifeTime,
                protocol=protocol,
                **more,
            )
        )

    async def offer(self):
        await self.describe(await self.connection.createOffer())

    async def signal(self, signal):
        if "type" in signal:
            await self.connection.setRemoteDescription(aiortc.RTCSessionDescription(**signal))
            if signal["type"] == "offer":
                await self.describe(await self.connection.createAnswer())
        elif signal["candidate"]:
            candidate = candidate_from_sdp(signal["candidate"].split(":", 1)[1])
            candidate.sdpMid = signal.get("sdpMid")
            candidate.sdpMLineIndex = signal.get("sdpMLineIndex")
            await self.connection.addIceCandidate(candidate)
        else:
            await self.connection.addIceCandidate(None)

    async def send(self, label, **rest):
        before = self.queues.get(label)
        mine = self.queues[label] = asyncio.ensure_future(self.send_after(before, label, **rest))
        await mine

    async def send_after(self, before, label, kind, size, seed, count=1, every=0):
        if before:
            await asyncio.wait([before])
        channel, at, next_at = self.channels[label], [], now()
        for index in range(count):
            if every:
                await asyncio.sleep(max(0, next_at - now()) / 1000)
                next_at += every
            while channel.bufferedAmount > HIGH:
                await asyncio.sleep(0.002)
            message = content(kind, size, seed + index)
            at.append(now())
            channel.send(message)
        tell(sent={"label": label, "seed": seed, "at": at})

    async def stats(self):
        pair = self.connection.sctp.transport.transport._connection._nominated.get(1)
        local, remote = (pair.local_candidate, pair.remote_candidate) if pair else (None, None)
        tell(
            stats={
                "local": local and local.type,
                "remote": remote and remote.type,
                "protocol": local and local.transport,
            }
        )

    async def close_channel(self, label):
        self.channels[label].close()

    async def close(self):
        await self.connection.close()


async def run(peer, command):
    verb = command.pop("do")
    try:
        await getattr(peer, verb.replace("-", "_"))(**command)
    except Exception as error:
        tell(error=f"{verb}: {error!r}")


async def main():
    peer = Peer(json.loads(sys.argv[1]))
    tell(ready="aiortc")
    lines = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    working = set()
    while line := await lines.readline():
        command = json.loads(line)
        work = asyncio.ensure_future(run(peer, command))
        # Signals must not overtake each other; a send may take its time.
        if command["do"] == "send":
            working.add(work)
            work.add_done_callback(working.discard)
        else:
            await work
    await peer.connection.close()


asyncio.run(main())
