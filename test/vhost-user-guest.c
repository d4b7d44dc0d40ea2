/*
 * init of a guest whose network device is under test. Loads /modules/0.ko, 1.ko, …, brings up eth0 with the receive hash on, sends frames, and prints on the console what its
 * stack knows of each frame that it receives: `packet ID byte K = VALUE`, K 0 to 3 the bytes of skb->hash from the lowest, 4 the receive queue from 1 on. ID is the last two bytes of the frame's source
 * address. A classic filter can give a number only as the length that it leaves of a frame, so there is a socket for each byte, and frames must have 400 bytes. Ends with ID 65535.
 * gcc -O1 -static
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LEFT 64
#define END 0xffff
#define SENT 8

static void end(const char *what)
{
	if (what)
		perror(what);
	printf("guest ends\n");
	fflush(stdout);
	for (;;) {
		usleep(100000);
		reboot(RB_AUTOBOOT);
	}
}

static int ethtool(int fd, void *command)
{
	struct ifreq request = { .ifr_name = "eth0", .ifr_data = command };
	return ioctl(fd, SIOCETHTOOL, &request);
}

static int open_socket(int ifindex, int which)
{
	__u32 from = which == 4 ? SKF_AD_QUEUE : SKF_AD_RXHASH;
	__u32 shift = which == 4 ? 0 : which * 8;
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SKF_AD_OFF + from),
		BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, shift),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 255),
		BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, LEFT),
		BPF_STMT(BPF_RET | BPF_A, 0),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = ifindex };
	int buffer = 4 << 20;
	int fd = socket(AF_PACKET, SOCK_RAW, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer)) ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)))
		end("packet socket");
	return fd;
}

static void show_features(void)
{
	char bits[128] = "";
	int fd = open("/sys/class/net/eth0/device/features", O_RDONLY);

	if (fd < 0 || read(fd, bits, sizeof(bits) - 1) <= 0)
		end("features");
	printf("guest features %s", bits);
}

int main(void)
{
	static const char hello[400] = { 2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 7, 0x88, 0xb5, 'h', 'e', 'l', 'l', 'o' };
	struct ethtool_value rxhash = { ETHTOOL_SFLAGS, ETH_FLAG_RXHASH }, gro = { ETHTOOL_SGRO, 0 };
	struct pollfd sockets[5];
	struct ifreq interface = { .ifr_name = "eth0" };
	char path[32];
	int fd;

	mkdir("/dev", 0755);
	mkdir("/sys", 0755);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	fd = open("/dev/console", O_RDWR);
	if (fd >= 0) {
		dup2(fd, 1);
		dup2(fd, 2);
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 0;; i++) {
		snprintf(path, sizeof(path), "/modules/%d.ko", i);
		fd = open(path, O_RDONLY);
		if (fd < 0)
			break;
		if (syscall(SYS_finit_module, fd, "", 0))
			perror(path);
		close(fd);
	}
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	for (int i = 0; !if_nametoindex("eth0"); i++) {
		if (i == 200)
			end("no eth0");
		usleep(10000);
	}
	show_features();
	printf("guest rxhash %s\n", ethtool(fd, &rxhash) ? "refused" : "on");
	ethtool(fd, &gro);
	for (int i = 0; i < 5; i++)
		sockets[i] = (struct pollfd){ open_socket(if_nametoindex("eth0"), i), POLLIN, 0 };
	interface.ifr_flags = IFF_UP | IFF_PROMISC | IFF_NOARP;
	if (ioctl(fd, SIOCSIFFLAGS, &interface))
		end("eth0 up");
	for (int i = 0, tries = 0; i < SENT; i++)
		while (send(sockets[0].fd, hello, sizeof(hello), 0) != sizeof(hello)) {
			if (tries++ == 300)
				end("send");
			usleep(10000);
		}
	printf("guest ready\n");
	for (int ended = 0; ended < 5;) {
		poll(sockets, 5, -1);
		for (int i = 0; i < 5; i++) {
			unsigned char frame[LEFT + 256];
			struct sockaddr_ll from;
			socklen_t size = sizeof(from);
			ssize_t length;
			unsigned id;

			if (!(sockets[i].revents & POLLIN))
				continue;
			length = recvfrom(sockets[i].fd, frame, sizeof(frame), 0, (struct sockaddr *)&from, &size);
			if (length < LEFT || from.sll_pkttype == PACKET_OUTGOING)
				continue;
			id = frame[10] << 8 | frame[11];
			if (id == END)
				ended++;
			else
				printf("packet %u byte %d = %zd\n", id, i, length - LEFT);
		}
	}
	end(NULL);
}
