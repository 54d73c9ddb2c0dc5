/*
 * The limit: what it costs at least to hand a frame to many sockets, a loop of send(2) with a prebuilt frame.
 *
 *   limit FILE TIME_AT MARK_AT
 *
 * FILE holds one whole frame; 19 digits at TIME_AT and 8 at MARK_AT are overwritten with the intended time of sending,
 * in ns since the epoch, and a sequence number. It prints its address, accepts every connection, answers any request
 * with an upgrade, and drops whatever else comes. A line `publish RATE TOGETHER SECONDS` on standard input sends
 * TOGETHER frames, joined, RATE times a second to everybody, and prints how many.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MOST 65536

static const char UPGRADE[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
static int readers[MOST], reader_count, poller, listener;
static char upgraded[MOST];

static void fail(const char *what) {
    fprintf(stderr, "limit: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void watch(int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event)) fail("epoll_ctl");
}

static void serve(int fd) {
    static char dropped[65536];
    ssize_t got = recv(fd, dropped, sizeof dropped, 0);
    if (got <= 0) {
        close(fd);
        for (int index = 0; index < reader_count; index++)
            if (readers[index] == fd) readers[index] = readers[--reader_count];
    } else if (!upgraded[fd]) { /* the request came in one piece: it is small */
        upgraded[fd] = 1;
        readers[reader_count++] = fd;
        if (send(fd, UPGRADE, sizeof UPGRADE - 1, MSG_NOSIGNAL) < 0) fail("send");
    }
}

static void write_number(unsigned char *at, int digits, uint64_t value) {
    while (digits--) {
        at[digits] = '0' + value % 10;
        value /= 10;
    }
}

static void publish(const unsigned char *frame, size_t size, size_t time_at, size_t mark_at, double rate, int together,
                    double seconds) {
    static uint64_t sequence;
    unsigned char *joined = malloc(size * together);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t start = (uint64_t)now.tv_sec * 1000000000u + now.tv_nsec + 20000000u;
    long turns = (long)(rate * seconds + 0.5);
    for (long number = 0; number < turns; number++) {
        uint64_t intended = start + (uint64_t)(number * 1e9 / rate);
        struct timespec at = {intended / 1000000000u, intended % 1000000000u};
        while (clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &at, NULL)) continue;
        for (int index = 0; index < together; index++) {
            memcpy(joined + index * size, frame, size);
            write_number(joined + index * size + time_at, 19, intended);
            write_number(joined + index * size + mark_at, 8, ++sequence);
        }
        for (int index = 0; index < reader_count; index++)
            if (send(readers[index], joined, size * together, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)(size * together))
                fail("expected the kernel to take all of it");
    }
    free(joined);
    printf("%ld\n", turns * together);
    fflush(stdout);
}

int main(int argument_count, char **arguments) {
    static unsigned char frame[1 << 20];
    if (argument_count != 4) return fprintf(stderr, "limit: expected FILE TIME_AT MARK_AT\n"), 2;
    FILE *file = fopen(arguments[1], "rb");
    if (!file) fail(arguments[1]);
    size_t size = fread(frame, 1, sizeof frame, file);
    fclose(file);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) fail("listen");
    getsockname(listener, (struct sockaddr *)&address, &length);
    printf("http://127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    poller = epoll_create1(EPOLL_CLOEXEC);
    watch(listener);
    watch(0);
    for (;;) {
        struct epoll_event events[256];
        int number = epoll_wait(poller, events, 256, -1);
        for (int index = 0; index < number; index++) {
            int fd = events[index].data.fd;
            if (fd == 0) {
                char line[128];
                double rate, seconds;
                int together;
                ssize_t got = read(0, line, sizeof line - 1);
                if (got <= 0) return 0;
                line[got] = 0;
                if (sscanf(line, "publish %lf %d %lf", &rate, &together, &seconds) != 3)
                    return fprintf(stderr, "limit: expected publish RATE TOGETHER SECONDS, got %s\n", line), 2;
                publish(frame, size, strtoul(arguments[2], NULL, 10), strtoul(arguments[3], NULL, 10), rate, together,
                        seconds);
            } else if (fd == listener) {
                int accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC), one = 1;
                if (accepted < 0) fail("accept");
                if (accepted >= MOST) fail("expected fewer connections");
                setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                upgraded[accepted] = 0;
                watch(accepted);
            } else {
                serve(fd);
            }
        }
    }
}
