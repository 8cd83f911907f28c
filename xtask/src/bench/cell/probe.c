/* What is measured from within: one process does the same thing again and again, and prints the median in nanoseconds.
 *
 *   probe run COUNT PREPARE PROGRAM [ARGUMENT]...   a program, from its start to its end; PREPARE is not counted
 *   probe OPERATION COUNT                           one of those below, in the current folder
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Short things are measured so many at a time. */
#define BATCH 64

extern char **environ;

static void die(const char *what) {
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void run(char **program) {
    pid_t pid;
    int status;
    posix_spawn_file_actions_t quiet;
    posix_spawn_file_actions_init(&quiet);
    posix_spawn_file_actions_addopen(&quiet, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    errno = posix_spawnp(&pid, program[0], &quiet, NULL, program, environ);
    if (errno) die(program[0]);
    posix_spawn_file_actions_destroy(&quiet);
    if (waitpid(pid, &status, 0) != pid) die("waitpid");
    if (!WIFEXITED(status) || WEXITSTATUS(status)) {
        fprintf(stderr, "%s ended with %#x\n", program[0], status);
        exit(1);
    }
}

/* A server that closes what it accepts, until its parent ends it. */
static pid_t serve(int listener) {
    pid_t pid = fork();
    if (pid < 0) die("fork");
    if (pid) return pid;
    for (;;) {
        int one = accept(listener, NULL, NULL);
        if (one < 0) die("accept");
        close(one);
    }
}

/* The connect alone; then waits until the server has closed, so that its queue is never full. */
static double connect_once(int family, const struct sockaddr *to, socklen_t length) {
    char byte;
    int one = socket(family, SOCK_STREAM, 0);
    if (one < 0) die("socket");
    double from = now();
    if (connect(one, to, length)) die("connect");
    double took = now() - from;
    if (read(one, &byte, 1) != 0) die("read");
    close(one);
    return took;
}

static void once(const char *what) {
    struct stat about;
    char byte = 0;
    int fd;
    if (!strcmp(what, "getppid")) {
        syscall(SYS_getppid);
    } else if (!strcmp(what, "stat")) {
        if (stat("probed", &about)) die("stat");
    } else if (!strcmp(what, "open")) {
        if ((fd = open("probed", O_RDWR | O_CREAT, 0600)) < 0) die("open");
        close(fd);
    } else if (!strcmp(what, "read")) {
        static int zero = -1;
        if (zero < 0 && (zero = open("/dev/zero", O_RDONLY)) < 0) die("/dev/zero");
        if (read(zero, &byte, 1) != 1) die("read");
    } else if (!strcmp(what, "socket-tcp") || !strcmp(what, "socket-unix")) {
        if ((fd = socket(strcmp(what, "socket-tcp") ? AF_UNIX : AF_INET, SOCK_STREAM, 0)) < 0) die("socket");
        close(fd);
    } else {
        fprintf(stderr, "no such operation: %s\n", what);
        exit(2);
    }
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    const char *what = argv[1];
    int count = atoi(argv[2]);
    double *took = calloc(count, sizeof *took);
    if (count < 1 || !took) return 2;
    pid_t server = 0;
    struct sockaddr_un path = {.sun_family = AF_UNIX, .sun_path = "probed.sock"};
    struct sockaddr_in port = {.sin_family = AF_INET};
    socklen_t length = sizeof port;
    if (!strcmp(what, "connect-unix")) {
        int listener = socket(AF_UNIX, SOCK_STREAM, 0);
        unlink(path.sun_path);
        if (bind(listener, (void *)&path, sizeof path) || listen(listener, 16)) die(path.sun_path);
        server = serve(listener);
    } else if (!strcmp(what, "connect-tcp")) {
        int listener = socket(AF_INET, SOCK_STREAM, 0);
        port.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (bind(listener, (void *)&port, length) || listen(listener, 16)) die("listen");
        if (getsockname(listener, (void *)&port, &length)) die("getsockname");
        server = serve(listener);
    } else if (!strcmp(what, "stat")) {
        close(open("probed", O_RDWR | O_CREAT, 0600));
    }
    for (int i = 0; i < count; i++) {
        if (!strcmp(what, "connect-unix")) {
            took[i] = connect_once(AF_UNIX, (void *)&path, sizeof path);
        } else if (!strcmp(what, "connect-tcp")) {
            took[i] = connect_once(AF_INET, (void *)&port, sizeof port);
        } else if (!strcmp(what, "run")) {
            if (argc < 5 || (*argv[3] && system(argv[3]) != 0)) die("what is to be done before");
            double from = now();
            run(argv + 4);
            took[i] = now() - from;
        } else {
            double from = now();
            for (int n = 0; n < BATCH; n++) once(what);
            took[i] = (now() - from) / BATCH;
        }
    }
    if (server) kill(server, 9);
    qsort(took, count, sizeof *took, by_size);
    printf("%.0f\n", took[count / 2]);
    return 0;
}
