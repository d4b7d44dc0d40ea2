/* Reads packets from a TAP as a plain program does: poll, then read into a buffer until there are no more; or writes each to a second TAP.
 *
 * usage: tap-reader TAP BYTES PACKETS ROUNDS read|forward OUT
 * The device's queue is filled with PACKETS packets, which is not timed; then they are read. Prints ns a packet, a line a round.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HEADER 20

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void link_set(const char *name, int packets)
{
	struct ifreq ifr = {};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	strncpy(ifr.ifr_name, name, IFNAMSIZ - 1);
	ifr.ifr_qlen = packets;
	if (ioctl(fd, SIOCSIFTXQLEN, &ifr))
		die("SIOCSIFTXQLEN");
	if (ioctl(fd, SIOCGIFFLAGS, &ifr))
		die("SIOCGIFFLAGS");
	ifr.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &ifr))
		die("SIOCSIFFLAGS");
	close(fd);
}

static int tap_open(const char *name, int packets)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int size = HEADER, fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);

	if (fd < 0)
		die("/dev/net/tun");
	strncpy(ifr.ifr_name, name, IFNAMSIZ - 1);
	if (ioctl(fd, TUNSETIFF, &ifr))
		die("TUNSETIFF");
	if (ioctl(fd, TUNSETVNETHDRSZ, &size))
		die("TUNSETVNETHDRSZ");
	link_set(name, packets);
	return fd;
}

static int packet_open(const char *name)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_protocol = 0 };
	int one = 1, fd = socket(AF_PACKET, SOCK_RAW, 0);

	address.sll_ifindex = if_nametoindex(name);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)))
		die("AF_PACKET");
	if (setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)))
		die("PACKET_QDISC_BYPASS");
	return fd;
}

/* IPv4, UDP from a port that goes round. Checksums are left out: nobody looks. */
static void fill(uint8_t *frame, int bytes, int number)
{
	memset(frame, 0, bytes);
	memset(frame, 2, 12);
	frame[12] = 8;
	frame[14] = 0x45;
	frame[16] = (bytes - 14) >> 8;
	frame[17] = (uint8_t)(bytes - 14);
	frame[22] = 64;
	frame[23] = 17;
	memcpy(frame + 26, "\x0a\x00\x00\x01\x0a\x00\x00\x02", 8);
	frame[34] = 0x10;
	frame[35] = (uint8_t)number;
	frame[37] = 9;
	frame[38] = (bytes - 34) >> 8;
	frame[39] = (uint8_t)(bytes - 34);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e9 + ts.tv_nsec;
}

int main(int argc, char **argv)
{
	static uint8_t buffer[65536], frame[65536];

	if (argc < 6)
		return 2;
	const char *name = argv[1];
	int bytes = atoi(argv[2]), packets = atoi(argv[3]), rounds = atoi(argv[4]);
	int forward = !strcmp(argv[5], "forward");
	int tap = tap_open(name, packets), sender = packet_open(name);
	int out = forward && argc > 6 ? tap_open(argv[6], packets) : -1;
	unsigned long sum = 0;

	for (int round = 0; round < rounds; round++) {
		for (int i = 0; i < packets; i++) {
			fill(frame, bytes, i);
			if (send(sender, frame, bytes, 0) < 0)
				die("send");
		}
		double start = now();
		for (int left = packets; left > 0;) {
			struct pollfd pfd = { .fd = tap, .events = POLLIN };

			if (poll(&pfd, 1, 1000) <= 0) {
				fprintf(stderr, "%d packets did not come\n", left);
				return 1;
			}
			for (;;) {
				ssize_t got = read(tap, buffer, sizeof(buffer));

				if (got < 0) {
					if (errno != EAGAIN)
						die("read");
					break;
				}
				sum += buffer[HEADER + 35];
				left--;
				if (forward && write(out, buffer, got) != got)
					die("write");
			}
		}
		printf("%.2f\n", (now() - start) / packets);
	}
	return sum == 1;
}
