/* The benchmark's peer for streams of bytes: large bodies, WebSockets, bare TCP.
 *
 * Usage: peer   (prints two ports on 127.0.0.1: one speaks HTTP, the other sends back whatever comes)
 *
 *   GET /<anything>/<n>     a body of n bytes
 *   POST                    the body is read and dropped, the answer is two bytes
 *   GET with an Upgrade     101; then every small masked frame comes back unmasked, whole and at once
 * One thread, level-triggered epoll. The key of the handshake is the one of RFC 6455 section 1.3, so its answer is too.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_FD = 4096, BUFFER = 262144, EVENTS = 256, HEAD = 0, BODY = 1, FRAMES = 2, ECHO = 3 };

struct connection {
    char *in, *out;
    int used, queued, state;
    long left, owed; /* of a body that comes; of one that goes */
};

static struct connection connections[MAX_FD];
static int listeners[2], poller;
static char zeros[BUFFER];

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void watch(int fd, int how, unsigned events) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    if (epoll_ctl(poller, how, fd, &event)) die("epoll_ctl");
}

static int listen_anywhere(int *port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) || listen(fd, 4096)) die("listen");
    if (getsockname(fd, (struct sockaddr *)&address, &length)) die("getsockname");
    *port = ntohs(address.sin_port);
    watch(fd, EPOLL_CTL_ADD, EPOLLIN);
    return fd;
}

static void accept_all(int side) {
    int fd, one = 1;
    while ((fd = accept4(listeners[side], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct connection *c = &connections[fd];
        if (fd >= MAX_FD) die("too many connections");
        if (!c->in && (!(c->in = malloc(BUFFER)) || !(c->out = malloc(2 * BUFFER)))) die("malloc");
        c->used = c->queued = 0;
        c->left = c->owed = 0;
        c->state = side ? ECHO : HEAD;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        watch(fd, EPOLL_CTL_ADD, EPOLLIN);
    }
}

static void say(struct connection *c, const char *data, int length) {
    memcpy(c->out + c->queued, data, length);
    c->queued += length;
}

static void on_head(struct connection *c, int length) {
    char text[256];
    c->in[length - 1] = 0; /* the last byte of the empty line */
    char *said = strcasestr(c->in, "\r\ncontent-length:");
    if (strcasestr(c->in, "\r\nupgrade:")) {
        const char *answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
        say(c, answer, strlen(answer));
        c->state = FRAMES;
    } else if (said && (c->left = atol(said + 17)) > 0) {
        c->state = BODY;
    } else {
        char *space = strchr(c->in + 4, ' ');
        char *slash = space ? memrchr(c->in, '/', space - c->in) : NULL;
        c->owed = slash ? atol(slash + 1) : 0;
        say(c, text, sprintf(text, "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %ld\r\n\r\n", c->owed));
    }
}

/* Work on what was read; how many bytes of it are done with. */
static int take(struct connection *c) {
    int done = 0;
    while (done < c->used && c->queued < BUFFER && !c->owed) {
        char *at = c->in + done;
        int here = c->used - done;
        if (c->state == ECHO) {
            if (here > BUFFER - c->queued) here = BUFFER - c->queued;
            say(c, at, here);
            done += here;
        } else if (c->state == BODY) {
            if (here > c->left) here = c->left;
            done += here;
            if (!(c->left -= here)) {
                const char *answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                say(c, answer, strlen(answer));
                c->state = HEAD;
            }
        } else if (c->state == FRAMES) {
            int size = here > 1 ? at[1] & 0x7f : 0;
            if (here < 6 + size) break;
            if (size > 125) die("a frame that is not small");
            char *frame = c->out + c->queued;
            frame[0] = at[0];
            frame[1] = size;
            for (int i = 0; i < size; i++) frame[2 + i] = at[6 + i] ^ at[2 + (i & 3)];
            c->queued += 2 + size;
            done += 6 + size;
        } else {
            char *end = memmem(at, here, "\r\n\r\n", 4);
            if (!end) break;
            if (done) {
                memmove(c->in, at, c->used -= done);
                end -= done;
                done = 0;
            }
            int length = end + 4 - c->in;
            on_head(c, length);
            done = length;
        }
    }
    return done;
}

/* Whether the connection lives on. */
static int flush(int fd, struct connection *c) {
    while (c->queued || c->owed) {
        const char *from = c->queued ? c->out : zeros;
        long size = c->queued ? c->queued : c->owed < BUFFER ? c->owed : BUFFER;
        ssize_t n = send(fd, from, size, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno != EAGAIN) return 0;
            watch(fd, EPOLL_CTL_MOD, EPOLLOUT);
            return 1;
        }
        if (c->queued) memmove(c->out, c->out + n, c->queued -= n);
        else c->owed -= n;
    }
    return 1;
}

static void serve(int fd, unsigned events) {
    struct connection *c = &connections[fd];
    if (events & EPOLLIN && c->used < BUFFER) {
        ssize_t n = read(fd, c->in + c->used, BUFFER - c->used);
        if (n == 0 || (n < 0 && errno != EAGAIN)) {
            close(fd);
            return;
        }
        if (n > 0) c->used += n;
    }
    for (;;) {
        int done = take(c);
        if (done) memmove(c->in, c->in + done, c->used -= done);
        if (!flush(fd, c)) {
            close(fd);
            return;
        }
        if (c->queued || c->owed) return; /* waits for room */
        if (!done || !c->used) break;
    }
    if (events & EPOLLOUT) watch(fd, EPOLL_CTL_MOD, EPOLLIN);
}

int main(void) {
    struct epoll_event events[EVENTS];
    int ports[2];
    poller = epoll_create1(EPOLL_CLOEXEC);
    for (int side = 0; side < 2; side++) listeners[side] = listen_anywhere(&ports[side]);
    printf("%d %d\n", ports[0], ports[1]);
    fflush(stdout);
    for (;;) {
        int count = epoll_wait(poller, events, EVENTS, -1);
        if (count < 0 && errno != EINTR) die("epoll_wait");
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == listeners[0]) accept_all(0);
            else if (fd == listeners[1]) accept_all(1);
            else serve(fd, events[i].events);
        }
    }
}
