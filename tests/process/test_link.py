"""Messages between processes: whole, in order, with what is attached to them, however the bytes arrive."""

import asyncio
import errno
import itertools
import os
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pygateway.process.link import FrameLink, Frames, Packets, frame


def packets() -> tuple[Packets, Packets]:
    ours, theirs = Packets.pair()
    return ours, Packets(theirs)


class TestFrames:
    @given(messages=st.lists(st.binary(max_size=300)), cuts=st.lists(st.integers(0, 2000)))
    def test_any_cutting_of_the_stream_gives_the_messages(self, messages: list[bytes], cuts: list[int]) -> None:
        stream = b"".join(frame(message) for message in messages)
        places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
        frames = Frames()
        got = [one for a, b in itertools.pairwise(places) for one in frames.feed(stream[a:b])]
        assert got == messages

    def test_byte_by_byte(self) -> None:
        frames = Frames()
        got = [one for byte in frame(b"one") + frame(b"") + frame(b"two") for one in frames.feed(bytes([byte]))]
        assert got == [b"one", b"", b"two"]

    def test_what_is_no_length_of_ours_is_refused(self) -> None:
        with pytest.raises(ValueError, match="a frame of"):
            list(Frames().feed(b"GET / HTTP/1.1\r\n"))


class TestPackets:
    def test_packets_arrive_whole_and_in_order(self) -> None:
        ours, theirs = packets()
        ours.send(b"one")
        ours.send(b"two")
        assert [theirs.receive(), theirs.receive(), theirs.receive()] == [(b"one", []), (b"two", []), None]
        ours.close()
        assert theirs.receive() == (b"", [])
        theirs.close()

    def test_when_too_many_sockets_are_under_way_the_packet_waits(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The kernel never refuses this to root, who may be running the test."""
        ours, theirs = packets()

        def refuse(*_: object) -> int:
            raise OSError(errno.ETOOMANYREFS, "Too many references")

        with monkeypatch.context() as patch:
            patch.setattr(socket, "send_fds", refuse)
            ours.send(b"one")
        assert ours.waiting
        ours.flush()
        assert theirs.receive() == (b"one", [])
        ours.close()
        theirs.close()

    def test_an_attached_socket_is_the_same_socket_and_is_not_inherited(self) -> None:
        ours, theirs = packets()
        with socket.create_server(("127.0.0.1", 0)) as listening:
            ours.send(b"take", [listening])
            packet = theirs.receive()
            assert packet is not None
            [copy] = packet[1]
            with copy:
                assert copy.getsockname() == listening.getsockname()
                assert not copy.get_inheritable()
        ours.close()
        theirs.close()

    def test_a_given_socket_is_closed_here_once_it_is_on_its_way(self) -> None:
        ours, theirs = packets()
        one, other = socket.socketpair()
        ours.send(b"take", [one], give=True)
        assert one.fileno() == -1
        packet = theirs.receive()
        assert packet is not None
        packet[1][0].sendall(b"alive")
        assert other.recv(10) == b"alive"
        for each in (packet[1][0], other, ours, theirs):
            each.close()

    def test_nothing_blocks_and_nothing_is_lost_when_the_other_side_does_not_read(self) -> None:
        ours, theirs = packets()
        sent = [f"{number}".encode() * 100 for number in range(3000)]
        for message in sent:
            ours.send(message)
        assert ours.waiting
        got = []
        while len(got) < len(sent):
            while (packet := theirs.receive()) is not None:
                got.append(packet[0])
            ours.flush()
        assert got == sent
        assert not ours.waiting
        ours.close()
        theirs.close()

    def test_a_socket_that_was_closed_while_it_waited_is_not_sent(self) -> None:
        ours, theirs = packets()
        while not ours.waiting:
            ours.send(bytes(1000))
        listening = socket.create_server(("127.0.0.1", 0))
        ours.send(b"stale", [listening])
        listening.close()
        ours.send(b"after")
        got = set()
        while ours.waiting or b"after" not in got:
            while (packet := theirs.receive()) is not None:
                got.add(packet[0])
            ours.flush()
        assert b"stale" not in got
        ours.close()
        theirs.close()

    def test_sending_to_a_process_that_is_gone_is_silent(self) -> None:
        ours, theirs = packets()
        theirs.close()
        ours.send(b"hello")
        assert not ours.waiting
        assert ours.receive() == (b"", [])
        ours.close()


class TestFrameLink:
    def test_messages_go_both_ways_and_the_end_is_told(self) -> None:
        async def story() -> list[bytes]:
            one, other = socket.socketpair()
            got: list[bytes] = []
            ended, echoed = asyncio.Event(), asyncio.Event()

            def on_message(message: bytes) -> None:
                got.append(message)
                echoed.set()

            near = FrameLink(on_message, ended.set)
            far = FrameLink(lambda message: far.send(message.upper()), lambda: None)
            await near.open(one)
            await far.open(other)
            near.send(b"big" * 1_000_000)
            await echoed.wait()
            await far.finish(1.0)
            await ended.wait()
            near.send(b"nobody hears this")
            await near.finish(1.0)
            return got

        assert asyncio.run(story()) == [b"BIG" * 1_000_000]


def test_a_link_leaks_no_descriptors() -> None:
    before = len(os.listdir("/proc/self/fd"))
    ours, theirs = packets()
    one, other = socket.socketpair()
    ours.send(b"x", [one], give=True)
    other.close()
    packet = theirs.receive()
    assert packet is not None
    packet[1][0].close()
    ours.close()
    theirs.close()
    assert len(os.listdir("/proc/self/fd")) == before
