/* A bare byte relay: what the kernel alone costs a proxy.
 *
 * Usage: relay BACKEND_PORT   (prints the port that it listens on, on 127.0.0.1)
 *
 * Each client connection gets one backend connection of its own; bytes are copied both ways and never looked at.
 * So a request costs two reads, two writes and its share of epoll_wait: the floor for every proxy that is beside it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_FD = 65536, EVENTS = 256 };

static int peer[MAX_FD];
static int poller, listener;
static struct sockaddr_in backend = {.sin_family = AF_INET};

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void watch(int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event)) die("epoll_ctl");
}

static void open_pair(int client) {
    int one = 1, upstream = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (upstream < 0 || upstream >= MAX_FD || client >= MAX_FD ||
        connect(upstream, (struct sockaddr *)&backend, sizeof backend)) {
        close(client);
        if (upstream >= 0) close(upstream);
        return;
    }
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(upstream, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    peer[client] = upstream;
    peer[upstream] = client;
    watch(client);
    watch(upstream);
}

static void close_pair(int fd) {
    int other = peer[fd];
    peer[fd] = peer[other] = 0;
    close(fd);
    close(other);
}

/* Readable: pass on what is there. A full socket buffer is waited for: with small messages it does not happen. */
static void copy(int fd) {
    static char buffer[65536];
    int to = peer[fd];
    if (!to) return; /* closed earlier in this turn */
    ssize_t n = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
        close_pair(fd);
        return;
    }
    for (ssize_t done = 0; done < n;) {
        ssize_t m = send(to, buffer + done, n - done, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (m >= 0) {
            done += m;
        } else if (errno == EAGAIN) {
            struct pollfd wait = {.fd = to, .events = POLLOUT};
            poll(&wait, 1, 1000);
        } else {
            close_pair(fd);
            return;
        }
    }
}

int main(int argc, char **argv) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event events[EVENTS];
    socklen_t length = sizeof address;
    if (argc != 2) return 2;
    backend.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    backend.sin_port = htons((uint16_t)atoi(argv[1]));
    poller = epoll_create1(EPOLL_CLOEXEC);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&address, length) || listen(listener, 4096)) die("listen");
    if (getsockname(listener, (struct sockaddr *)&address, &length)) die("getsockname");
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    watch(listener);
    for (;;) {
        int count = epoll_wait(poller, events, EVENTS, -1);
        if (count < 0 && errno != EINTR) die("epoll_wait");
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd != listener) {
                copy(fd);
                continue;
            }
            int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
            if (client >= 0) open_pair(client);
        }
    }
}
