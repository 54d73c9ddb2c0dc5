/*
 * The readers of a benchmark: opens many WebSocket connections, subscribes, and counts and times what arrives.
 *
 * One thread and one epoll. Nothing is stored of a frame; of a payload only two things are looked at: `"ts":"<ns>"`,
 * the time at which it was meant to be published, and `"mark":"<topic>.<sequence>"`, by which frames that are missing
 * are noticed. Latency is receipt less `ts` and goes into a log-linear histogram, 128 steps to each doubling, so that a
 * value is off by less than one percent (histogram.py has the same in Python).
 *
 *   load port=N count=N requests=FILE [messages=FILE] [ready=N] [topics=N] [per_source=N] [in_flight=N] [receive=BYTES] [nap=US] [untimed=N]
 *   load histogram     numbers on standard input to the buckets they fall into
 *
 * FILE holds prebuilt bytes, each with its length before it (4 bytes, little endian); connection i uses entry i modulo
 * their number: HTTP requests with their signature, masked frames that subscribe. A connection is ready when it has got
 * `ready` text frames. Connections come from 127.0.0.2 and up, `per_source` from each address.
 *
 * With `nap` it sleeps so many microseconds before it looks again. Otherwise each send to it wakes it, and the server
 * pays for that: a call from core to core, which readers on other machines do not cost. For CPU figures, not for times.
 *
 * The first `untimed` connections are counted, but not timed.
 *
 * Once all are open it says so in one line of JSON, and then obeys lines on standard input:
 *   subscribe     sends everybody's message; answers when all are ready
 *   measure       counts from here
 *   report        answers what was counted since
 *   stall N       stops reading the first N connections; resume reads them again
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SUB_BITS 7
#define BUCKETS ((64 - SUB_BITS + 1) << SUB_BITS)
#define READ_SIZE (256 * 1024)
#define LARGEST_FRAME (4 * 1024 * 1024)
#define TIMEOUT_MS 30000

enum state { CONNECTING, AWAITING_UPGRADE, OPEN, CLOSED };

struct connection {
    int fd;
    enum state state;
    int ready;
    uint32_t text_frames;
    unsigned char *kept; /* the beginning of a frame whose end has not come yet */
    size_t kept_size, kept_room;
    uint32_t *sequences; /* the newest of each topic; 0: none yet */
};

struct list {
    unsigned char **items;
    uint32_t *sizes;
    int count;
};

static struct {
    uint64_t frames, replies, deflated, payload_bytes, wire_bytes, reads, gaps, missing, repeats, closed, timed;
    uint64_t smallest, largest;
    uint64_t buckets[BUCKETS];
    double began, last, cpu;
} counted;

static struct connection *connections;
static struct list requests, messages;
static int count, port, topics, per_source = 20000, in_flight = 128, ready_frames, receive_buffer, nap, untimed, poller;
static int started, opened, ready_count, refused, stalled;
static double first_connect, last_upgrade;
static char first_refusal[200];
static unsigned char buffer[LARGEST_FRAME + READ_SIZE];

static void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "load: ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    exit(1);
}

static double seconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

static uint64_t epoch_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + now.tv_nsec;
}

/* Values below 2^SUB_BITS have a bucket each; above, every doubling has 2^SUB_BITS of them. */
static int bucket_of(uint64_t value) {
    if (value >> SUB_BITS == 0) return (int)value;
    int shift = 63 - __builtin_clzll(value) - SUB_BITS;
    return ((shift + 1) << SUB_BITS) + (int)((value >> shift) - (1u << SUB_BITS));
}

static void record(uint64_t value) {
    counted.buckets[bucket_of(value)]++;
    counted.timed++;
    if (value > counted.largest) counted.largest = value;
    if (value < counted.smallest) counted.smallest = value;
}

static void print_buckets(void) {
    printf("\"buckets\":[");
    const char *comma = "";
    for (int index = 0; index < BUCKETS; index++)
        if (counted.buckets[index]) {
            printf("%s[%d,%llu]", comma, index, (unsigned long long)counted.buckets[index]);
            comma = ",";
        }
    printf("]");
}

static struct list read_list(const char *path) {
    struct list list = {NULL, NULL, 0};
    FILE *file = fopen(path, "rb");
    if (!file) fail("%s: %s", path, strerror(errno));
    unsigned char head[4];
    while (fread(head, 1, 4, file) == 4) {
        uint32_t size = head[0] | head[1] << 8 | head[2] << 16 | (uint32_t)head[3] << 24;
        list.items = realloc(list.items, (list.count + 1) * sizeof *list.items);
        list.sizes = realloc(list.sizes, (list.count + 1) * sizeof *list.sizes);
        list.items[list.count] = malloc(size + 1);
        if (fread(list.items[list.count], 1, size, file) != size) fail("%s: expected %u bytes more", path, size);
        list.sizes[list.count++] = size;
    }
    fclose(file);
    if (!list.count) fail("%s: expected at least one entry, got none", path);
    return list;
}

/* Small and at the start of an empty buffer: the kernel takes all of it. */
static void send_all(struct connection *connection, const void *data, size_t size) {
    ssize_t sent = send(connection->fd, data, size, MSG_NOSIGNAL);
    if (sent != (ssize_t)size && errno != EPIPE && errno != ECONNRESET)
        fail("expected to send %zu bytes, sent %zd: %s", size, sent, strerror(errno));
}

static void watch(struct connection *connection, int operation, uint32_t events) {
    struct epoll_event event = {.events = events, .data.u64 = (uint64_t)(connection - connections)};
    if (epoll_ctl(poller, operation, connection->fd, &event)) fail("epoll_ctl: %s", strerror(errno));
}

static void open_next(void) {
    int index = started++;
    struct connection *connection = &connections[index];
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connection->fd < 0) fail("socket %d of %d: %s", index + 1, count, strerror(errno));
    int one = 1;
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (receive_buffer)
        setsockopt(connection->fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    /* A port is then chosen by connect, which knows both ends: 28,000 of them to each source address. */
    setsockopt(connection->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000002u + index / per_source)};
    if (bind(connection->fd, (struct sockaddr *)&own, sizeof own)) fail("bind: %s", strerror(errno));
    struct sockaddr_in peer = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (connect(connection->fd, (struct sockaddr *)&peer, sizeof peer) && errno != EINPROGRESS)
        fail("connect %d of %d: %s", index + 1, count, strerror(errno));
    connection->sequences = calloc(topics + 1, sizeof *connection->sequences);
    watch(connection, EPOLL_CTL_ADD, EPOLLOUT);
}

static void become_ready(struct connection *connection) {
    if (!connection->ready && connection->text_frames >= (uint32_t)ready_frames) {
        connection->ready = 1;
        ready_count++;
    }
}

static void end(struct connection *connection) {
    if (connection->state == CLOSED) return;
    if (connection->state != OPEN) refused++;
    connection->state = CLOSED;
    counted.closed++;
    close(connection->fd);
}

/* `"mark":"<topic>.<sequence>"` is near the end of the payload; none: a frame that is not numbered. */
static void check_sequence(struct connection *connection, const unsigned char *payload, size_t size) {
    size_t from = size > 64 ? size - 64 : 0;
    const unsigned char *at = memmem(payload + from, size - from, "\"mark\":\"", 8);
    if (!at) return;
    char *rest;
    unsigned long topic = strtoul((const char *)at + 8, &rest, 10);
    if (*rest != '.' || topic >= (unsigned long)topics) return;
    uint32_t sequence = strtoul(rest + 1, NULL, 10), last = connection->sequences[topic];
    if (last && sequence > last + 1) {
        counted.gaps++;
        counted.missing += sequence - last - 1;
    } else if (last && sequence < last) {
        counted.repeats++;
    }
    connection->sequences[topic] = sequence;
}

static void receive_text(struct connection *connection, const unsigned char *payload, size_t size, uint64_t now) {
    connection->text_frames++;
    if (size < 9 || memcmp(payload, "{\"topic\":", 9)) {
        counted.replies++;
        return;
    }
    counted.frames++;
    counted.payload_bytes += size;
    const unsigned char *at = memmem(payload, size < 128 ? size : 128, "\"ts\":\"", 6);
    if (at && at + 6 + 19 < payload + size && connection - connections >= untimed) {
        uint64_t intended = strtoull((const char *)at + 6, NULL, 10);
        record(now > intended ? now - intended : 0);
    }
    check_sequence(connection, payload, size);
}

/* The bytes of whole frames at `data`, all of which are dealt with. */
static size_t receive_frames(struct connection *connection, unsigned char *data, size_t size, uint64_t now) {
    size_t done = 0;
    while (size - done >= 2) {
        unsigned char *frame = data + done;
        uint64_t length = frame[1] & 0x7f;
        size_t head = 2;
        if (frame[1] & 0x80) fail("expected frames of a server to be unmasked, got a masked one");
        if (length == 126) {
            head = 4;
            if (size - done < head) break;
            length = frame[2] << 8 | frame[3];
        } else if (length == 127) {
            head = 10;
            if (size - done < head) break;
            length = 0;
            for (int byte = 2; byte < 10; byte++) length = length << 8 | frame[byte];
        }
        if (length > LARGEST_FRAME - head) fail("expected frames of up to %d bytes, got one of %llu", LARGEST_FRAME,
                                                (unsigned long long)length);
        if (size - done < head + length) break;
        int opcode = frame[0] & 0x0f;
        unsigned char *payload = frame + head;
        if (opcode == 1 && frame[0] & 0x40) { /* what it says can't be seen */
            connection->text_frames++;
            counted.frames++;
            counted.deflated++;
            counted.payload_bytes += length;
        } else if (opcode == 1) {
            receive_text(connection, payload, length, now);
        } else if (opcode == 9 && length < 126) {
            unsigned char pong[6 + 125] = {0x8a, 0x80 | length}; /* masked with zeros */
            memcpy(pong + 6, payload, length);
            send_all(connection, pong, 6 + length);
        } else if (opcode == 8) {
            end(connection);
            return size;
        }
        done += head + length;
    }
    return done;
}

static size_t receive_upgrade(struct connection *connection, unsigned char *data, size_t size) {
    unsigned char *stop = memmem(data, size, "\r\n\r\n", 4);
    if (!stop) return 0;
    if (memcmp(data, "HTTP/1.1 101", 12)) {
        if (!first_refusal[0]) snprintf(first_refusal, sizeof first_refusal, "%.*s", (int)strcspn((char *)data, "\r"), data);
        end(connection);
        return size;
    }
    connection->state = OPEN;
    opened++;
    last_upgrade = seconds(CLOCK_MONOTONIC);
    return stop + 4 - data;
}

static void receive(struct connection *connection) {
    memcpy(buffer, connection->kept, connection->kept_size);
    ssize_t got = recv(connection->fd, buffer + connection->kept_size, READ_SIZE, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
        end(connection);
        return;
    }
    uint64_t now = epoch_ns();
    counted.reads++;
    counted.wire_bytes += got;
    size_t size = connection->kept_size + got, done = 0;
    buffer[size] = 0;
    if (connection->state == AWAITING_UPGRADE) done = receive_upgrade(connection, buffer, size);
    if (connection->state == OPEN) {
        done += receive_frames(connection, buffer + done, size - done, now);
        become_ready(connection);
    }
    size_t left = connection->state == CLOSED ? 0 : size - done;
    if (left > connection->kept_room) {
        connection->kept = realloc(connection->kept, left);
        connection->kept_room = left;
    }
    if (left) memcpy(connection->kept, buffer + done, left);
    connection->kept_size = left;
    counted.last = seconds(CLOCK_MONOTONIC);
}

static void handle(struct epoll_event *event) {
    struct connection *connection = &connections[event->data.u64];
    if (connection->state == CLOSED) return;
    if (connection->state == CONNECTING) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error) fail("connect: %s", strerror(error));
        int entry = (int)(connection - connections) % requests.count;
        connection->state = AWAITING_UPGRADE;
        send_all(connection, requests.items[entry], requests.sizes[entry]);
        watch(connection, EPOLL_CTL_MOD, EPOLLIN);
    } else {
        receive(connection);
    }
}

static struct epoll_event events[1024];

/* One turn of the loop. Returns whether standard input has something. */
static int turn(void) {
    if (nap) usleep(nap);
    int number = epoll_wait(poller, events, 1024, TIMEOUT_MS), input = 0;
    if (number < 0 && errno != EINTR) fail("epoll_wait: %s", strerror(errno));
    for (int index = 0; index < number; index++) {
        if (events[index].data.u64 == UINT64_MAX)
            input = 1;
        else
            handle(&events[index]);
    }
    return number == 0 ? -1 : input;
}

static void open_all(void) {
    first_connect = seconds(CLOCK_MONOTONIC);
    double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    while (opened + refused < count) {
        while (started < count && started - opened - refused < in_flight) open_next();
        if (turn() < 0) fail("expected %d upgrades, got %d and then nothing more", count, opened);
    }
    printf("{\"opened\":%d,\"refused\":%d,\"refusal\":\"%s\",\"seconds\":%.6f,\"cpu\":%.6f}\n", opened, refused,
           first_refusal, last_upgrade - first_connect, seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
}

static void subscribe_all(void) {
    double begin = seconds(CLOCK_MONOTONIC);
    /* As with the upgrades: not all at once, or the wait of the last is what is measured. */
    int sent = 0;
    while (ready_count < count) {
        for (; sent < count && sent - ready_count < in_flight; sent++) {
            int entry = sent % (messages.count ? messages.count : 1);
            if (messages.count && connections[sent].state == OPEN)
                send_all(&connections[sent], messages.items[entry], messages.sizes[entry]);
            become_ready(&connections[sent]);
        }
        if (ready_count < count && turn() < 0)
            fail("expected %d readers with %d frames each, got %d and then nothing more", count, ready_frames, ready_count);
        if (counted.closed) fail("expected open connections, but %llu were closed", (unsigned long long)counted.closed);
    }
    printf("{\"subscribed\":%d,\"seconds\":%.6f}\n", ready_count, seconds(CLOCK_MONOTONIC) - begin);
}

static void measure(void) {
    memset(&counted, 0, sizeof counted);
    counted.smallest = UINT64_MAX;
    counted.began = counted.last = seconds(CLOCK_MONOTONIC);
    counted.cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
}

static void report(void) {
    printf("{\"seconds\":%.6f,\"cpu\":%.6f", counted.last - counted.began,
           seconds(CLOCK_PROCESS_CPUTIME_ID) - counted.cpu);
#define FIELD(name) printf(",\"" #name "\":%llu", (unsigned long long)counted.name)
    FIELD(frames);
    FIELD(replies);
    FIELD(deflated);
    FIELD(payload_bytes);
    FIELD(wire_bytes);
    FIELD(reads);
    FIELD(gaps);
    FIELD(missing);
    FIELD(repeats);
    FIELD(closed);
    FIELD(timed);
    FIELD(largest);
    printf(",\"smallest\":%llu,", (unsigned long long)(counted.timed ? counted.smallest : 0));
    print_buckets();
    printf("}\n");
}

static void read_first(int wanted) {
    for (int index = 0; index < stalled; index++)
        if (connections[index].state == OPEN) watch(&connections[index], EPOLL_CTL_ADD, EPOLLIN);
    stalled = wanted < count ? wanted : count;
    for (int index = 0; index < stalled; index++)
        if (connections[index].state == OPEN) watch(&connections[index], EPOLL_CTL_DEL, 0);
}

static void obey(char *line) {
    if (!strcmp(line, "subscribe"))
        subscribe_all();
    else if (!strcmp(line, "measure")) {
        measure();
        printf("{}\n");
    } else if (!strcmp(line, "report"))
        report();
    else if (!strncmp(line, "stall ", 6)) {
        read_first(atoi(line + 6));
        printf("{}\n");
    } else if (!strcmp(line, "resume")) {
        read_first(0);
        printf("{}\n");
    } else
        fail("expected subscribe, measure, report, stall N or resume, got %s", line);
    fflush(stdout);
}

static int number_of(const char *argument, const char *name, int *value) {
    size_t size = strlen(name);
    if (strncmp(argument, name, size) || argument[size] != '=') return 0;
    *value = atoi(argument + size + 1);
    return 1;
}

static int histogram(void) {
    unsigned long long value;
    measure();
    while (scanf("%llu", &value) == 1) record(value);
    printf("{\"timed\":%llu,\"largest\":%llu,\"smallest\":%llu,", (unsigned long long)counted.timed,
           (unsigned long long)counted.largest, (unsigned long long)(counted.timed ? counted.smallest : 0));
    print_buckets();
    printf("}\n");
    return 0;
}

int main(int argument_count, char **arguments) {
    if (argument_count == 2 && !strcmp(arguments[1], "histogram")) return histogram();
    for (int index = 1; index < argument_count; index++) {
        char *argument = arguments[index];
        if (!strncmp(argument, "requests=", 9))
            requests = read_list(argument + 9);
        else if (!strncmp(argument, "messages=", 9))
            messages = read_list(argument + 9);
        else if (!(number_of(argument, "port", &port) || number_of(argument, "count", &count) ||
                   number_of(argument, "ready", &ready_frames) || number_of(argument, "topics", &topics) ||
                   number_of(argument, "per_source", &per_source) || number_of(argument, "in_flight", &in_flight) ||
                   number_of(argument, "receive", &receive_buffer) || number_of(argument, "nap", &nap) || number_of(argument, "untimed", &untimed)))
            fail("expected an option such as port=8080, got %s", argument);
    }
    if (!port || !count || !requests.count) fail("expected port=N, count=N and requests=FILE");
    connections = calloc(count, sizeof *connections);
    poller = epoll_create1(EPOLL_CLOEXEC);
    measure();
    open_all();
    fflush(stdout);
    struct epoll_event input = {.events = EPOLLIN, .data.u64 = UINT64_MAX};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, 0, &input)) fail("standard input: expected a pipe");
    char line[256];
    size_t filled = 0;
    for (;;) {
        if (turn() <= 0) continue;
        ssize_t got = read(0, line + filled, sizeof line - 1 - filled);
        if (got <= 0) return 0;
        filled += got;
        line[filled] = 0;
        for (char *stop; (stop = strchr(line, '\n'));) {
            *stop = 0;
            obey(line);
            filled -= stop + 1 - line;
            memmove(line, stop + 1, filled + 1);
        }
    }
}
