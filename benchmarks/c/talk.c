/* The benchmark's load for streams of bytes: sends a message, waits until as much has come back, and so on.
 *
 * Usage: talk PORT PATH CONNECTIONS SIZE SECONDS   (PATH "-": bare TCP; else a WebSocket at that path, SIZE up to 125)
 * Prints the messages that came back whole, the seconds, and the connections that were lost.
 * One thread, level-triggered epoll. What comes back is counted, and its last byte must be the message's.
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

enum { MAX_FD = 4096, EVENTS = 256, BUFFER = 262144 };

struct connection {
    int sent, received; /* of the present message */
};

static struct connection connections[MAX_FD];
static char *message, buffer[BUFFER];
static int poller, length, answer; /* bytes of a message on the wire, and of what comes back */
static long whole, lost;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void watch(int fd, int how, unsigned events) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    if (epoll_ctl(poller, how, fd, &event)) die("epoll_ctl");
}

static void open_one(int port, const char *path) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    int one = 1, used = 0, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || fd >= MAX_FD || connect(fd, (struct sockaddr *)&address, sizeof address)) die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (strcmp(path, "-")) {
        int size = sprintf(buffer, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                                   "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", path);
        if (write(fd, buffer, size) != size) die("write");
        while (used < 4 || memcmp(buffer + used - 4, "\r\n\r\n", 4)) { /* a byte at a time: nothing follows it yet */
            if (read(fd, buffer + used, 1) != 1) die("no handshake");
            used++;
        }
        if (memcmp(buffer, "HTTP/1.1 101 ", 13)) die("not upgraded");
    }
    fcntl(fd, F_SETFL, O_NONBLOCK);
    watch(fd, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
}

static int receive(int fd, struct connection *c) {
    ssize_t n = read(fd, buffer, BUFFER);
    if (n < 0 && errno == EAGAIN) return 1;
    if (n <= 0 || c->received + n > answer) return 0;
    c->received += n;
    if (c->received < answer) return 1;
    if (buffer[n - 1] != message[length - 1]) return 0;
    whole++;
    c->sent = c->received = 0;
    return 1;
}

static int transmit(int fd, struct connection *c, unsigned events) {
    while (c->sent < length) {
        ssize_t n = send(fd, message + c->sent, length - c->sent, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno != EAGAIN) return 0;
            if (!(events & EPOLLOUT)) watch(fd, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
            return 1;
        }
        c->sent += n;
    }
    if (events & EPOLLOUT) watch(fd, EPOLL_CTL_MOD, EPOLLIN);
    return 1;
}

int main(int argc, char **argv) {
    struct epoll_event events[EVENTS];
    if (argc != 6) return 2;
    int size = atoi(argv[4]), websocket = strcmp(argv[2], "-") != 0;
    length = websocket ? size + 6 : size;
    answer = websocket ? size + 2 : size;
    message = calloc(1, length); /* a mask of zeros leaves the payload as it is */
    memset(message + length - size, 'x', size);
    if (websocket) {
        message[0] = (char)0x82;
        message[1] = (char)(0x80 | size);
    }
    poller = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < atoi(argv[3]); i++) open_one(atoi(argv[1]), argv[2]);
    double began = now(), until = began + atof(argv[5]);
    while (now() < until) {
        int count = epoll_wait(poller, events, EVENTS, 1000);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            struct connection *c = &connections[fd];
            if ((events[i].events & EPOLLIN && !receive(fd, c)) || !transmit(fd, c, events[i].events)) {
                close(fd);
                lost++;
            }
        }
    }
    printf("%ld %.6f %ld\n", whole, now() - began, lost);
}
