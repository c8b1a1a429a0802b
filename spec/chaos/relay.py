"""
A bad route between two network namespaces, for kernels without netem: carries IP packets from a TUN device in one to a
TUN device in the other, both ways, and delays, loses, doubles and reorders them on the way. Packets of one direction
that are given the same delay stay in order; what jitter holds back is overtaken.

    relay.py '{"ends": [["/run/netns/A", "tun0"], ["/run/netns/B", "tun0"]], "seed": 1, "delayMs": 40,
               "jitterShare": 0.2, "jitterMs": 20, "lossShare": 0.01, "doubleShare": 0.01}'

Says "ready" when both devices are held. Ends when its standard input does, and then says what it did, as JSON. Holds at
most QUEUE_MAX packets, and loses what comes on top, as a router would.
"""

import ctypes
import fcntl
import heapq
import json
import os
import random
import select
import struct
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN_NO_PI = 0x0001 | 0x1000
CLONE_NEWNET = 0x40000000
PACKET_MAX = 65_536
QUEUE_MAX = 10_000


def hold(namespace, device):
    """The TUN device of that name there. The kernel looks it up in the namespace in which the clone device is opened."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(namespace) as there:
        if libc.setns(there.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "cannot enter " + namespace)
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22s", device.encode(), IFF_TUN_NO_PI, b""))
    return tun


def main():
    settings = json.loads(sys.argv[1])
    chance = random.Random(settings["seed"])
    first, second = (hold(*end) for end in settings["ends"])
    other = {first: second, second: first}
    poll = select.poll()
    for fd in (first, second, 0):
        poll.register(fd, select.POLLIN)
    done = {"carried": 0, "lost": 0, "doubled": 0, "heldBack": 0, "queueFull": 0}
    waiting = []  # (when, order of arrival, to whom, packet)
    arrivals = 0
    print("ready", flush=True)
    while True:
        until_next = max(0, waiting[0][0] - time.monotonic()) * 1000 if waiting else None
        # Rounded down, so that nothing is later than it must be; under a millisecond it looks again at once.
        for fd, _ in poll.poll(None if until_next is None else int(until_next)):
            if fd == 0:
                print(json.dumps(done), flush=True)
                return
            try:
                packet = os.read(fd, PACKET_MAX)
            except BlockingIOError:
                continue
            if chance.random() < settings["lossShare"]:
                done["lost"] += 1
                continue
            copies = 1
            if chance.random() < settings["doubleShare"]:
                done["doubled"] += 1
                copies = 2
            for _ in range(copies):
                if len(waiting) >= QUEUE_MAX:
                    done["queueFull"] += 1
                    continue
                delay = settings["delayMs"]
                if chance.random() < settings["jitterShare"]:
                    done["heldBack"] += 1
                    delay += settings["jitterMs"] * chance.random()
                heapq.heappush(waiting, (time.monotonic() + delay / 1000, arrivals, other[fd], packet))
                arrivals += 1
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, _, to, packet = heapq.heappop(waiting)
            try:
                os.write(to, packet)
                done["carried"] += 1
            except OSError:
                done["lost"] += 1  # its device is down or full


main()
