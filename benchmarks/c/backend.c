/* The benchmark's backend: answers every GET with a small fixed response, as cheaply as the kernel allows.
 *
 * Usage: backend [ADDRESS]   (prints the two ports that it listens on, for "left" and "right"; on 127.0.0.1, or on
 * another address of this host)
 *
 * Three targets are special, for the checks made before and after the measurement:
 *   <anything>/echo   the body is the head as it was received
 *   /counters         the body is "<connections accepted> <requests answered>"; itself counted in neither
 * Requests carry no bodies here. One thread, level-triggered epoll, one read and one write per request.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_FD = 65536, BUFFER = 32768, EVENTS = 256 };

struct connection {
    char *buffer;
    int used;
    int side; /* 0 left, 1 right */
};

static struct connection connections[MAX_FD];
static int listeners[2];
static int poller;
static long accepted, answered;
static char small[2][512];
static int small_length[2];
static time_t small_made;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int listen_anywhere(const char *where, int *port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = inet_addr(where)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) || listen(fd, 4096)) die("listen");
    if (getsockname(fd, (struct sockaddr *)&address, &length)) die("getsockname");
    *port = ntohs(address.sin_port);
    return fd;
}

static void watch(int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event)) die("epoll_ctl");
}

/* The response with the Date of this second, as nginx would send it. */
static void refresh_small(void) {
    static const char *bodies[2] = {"left\n", "right\n"};
    time_t now = time(NULL);
    char date[64];
    if (now == small_made) return;
    small_made = now;
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime(&now));
    for (int side = 0; side < 2; side++)
        small_length[side] = snprintf(small[side], sizeof small[side],
                                      "HTTP/1.1 200 OK\r\nServer: backend\r\nDate: %s\r\nContent-Type: text/plain\r\n"
                                      "Content-Length: %zu\r\nConnection: keep-alive\r\n\r\n%s",
                                      date, strlen(bodies[side]), bodies[side]);
}

static void accept_all(int side) {
    int one = 1;
    for (;;) {
        int fd = accept4(listeners[side], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        if (fd >= MAX_FD) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (!connections[fd].buffer && !(connections[fd].buffer = malloc(BUFFER))) die("malloc");
        connections[fd].used = 0;
        connections[fd].side = side;
        accepted++;
        watch(fd);
    }
}

/* Writes the answer to one head (without its empty line) at `out`; returns its length. */
static int answer(const char *head, int length, int side, char *out, int room) {
    const char *target = memchr(head, ' ', length);
    const char *end = target ? memchr(target + 1, ' ', length - (target + 1 - head)) : NULL;
    long size = end ? end - (target + 1) : 0;
    if (size == 9 && !memcmp(target + 1, "/counters", 9)) {
        char body[64];
        int n = snprintf(body, sizeof body, "%ld %ld\n", accepted - 1, answered);
        accepted--;
        return snprintf(out, room, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", n, body);
    }
    answered++;
    if (size >= 5 && !memcmp(end - 5, "/echo", 5))
        return snprintf(out, room, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%.*s",
                        length, length, head);
    memcpy(out, small[side], small_length[side]);
    return small_length[side];
}

static void serve(int fd) {
    struct connection *c = &connections[fd];
    static char out[1 << 18];
    ssize_t n = read(fd, c->buffer + c->used, BUFFER - c->used);
    if (n <= 0) {
        if (n < 0 && errno == EAGAIN) return;
        close(fd);
        return;
    }
    int start = 0, written = 0;
    c->used += n;
    for (;;) {
        char *end = memmem(c->buffer + start, c->used - start, "\r\n\r\n", 4);
        if (!end) break;
        int length = end - (c->buffer + start);
        written += answer(c->buffer + start, length, c->side, out + written, (int)sizeof out - written);
        start += length + 4;
    }
    memmove(c->buffer, c->buffer + start, c->used - start);
    c->used -= start;
    if (c->used == BUFFER || (written && write(fd, out, written) != written)) close(fd);
}

int main(int argc, char **argv) {
    struct epoll_event events[EVENTS];
    int ports[2];
    poller = epoll_create1(EPOLL_CLOEXEC);
    for (int side = 0; side < 2; side++) watch(listeners[side] = listen_anywhere(argc > 1 ? argv[1] : "127.0.0.1", &ports[side]));
    printf("%d %d\n", ports[0], ports[1]);
    fflush(stdout);
    for (;;) {
        int count = epoll_wait(poller, events, EVENTS, -1);
        if (count < 0 && errno != EINTR) die("epoll_wait");
        refresh_small();
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == listeners[0]) accept_all(0);
            else if (fd == listeners[1]) accept_all(1);
            else serve(fd);
        }
    }
}
