/*
 * Prints requests as liburing writes them: a name and 64 bytes in hex a line. test/ring-requests.test.ts holds them against src/hooks/ring/prep.
 * Addresses are numbers: nothing is submitted.
 */
#define _GNU_SOURCE
#include <liburing.h>
#include <linux/stat.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static struct io_uring_sqe sqe;

static void print(const char *name)
{
	const unsigned char *bytes = (const unsigned char *)&sqe;
	printf("%s ", name);
	for (unsigned i = 0; i < sizeof(sqe); i++)
		printf("%02x", bytes[i]);
	printf("\n");
	memset(&sqe, 0, sizeof(sqe));
}

#define AT(address) ((void *)(unsigned long)(address))
#define CASE(name, call) \
	do { \
		call; \
		print(name); \
	} while (0)

int main(void)
{
	struct io_uring_sqe *s = &sqe;

	CASE("nop", io_uring_prep_nop(s));
	CASE("read", io_uring_prep_read(s, 5, AT(0x1000), 4096, 0x123456789aULL));
	CASE("read position", io_uring_prep_read(s, 5, AT(0x1000), 4096, -1));
	CASE("write", io_uring_prep_write(s, 6, AT(0x2000), 77, 3));
	CASE("readv", io_uring_prep_readv2(s, 5, AT(0x1000), 3, 8, 8 /* RWF_NOWAIT */));
	CASE("writev", io_uring_prep_writev2(s, 5, AT(0x1000), 2, 8, 2 /* RWF_DSYNC */));
	CASE("read_fixed", io_uring_prep_read_fixed(s, 5, AT(0x1000), 512, 1024, 9));
	CASE("write_fixed", io_uring_prep_write_fixed(s, 5, AT(0x1000), 512, 1024, 9));
	CASE("fsync", io_uring_prep_fsync(s, 5, IORING_FSYNC_DATASYNC));
	CASE("sync_file_range", io_uring_prep_sync_file_range(s, 5, 100, 200, 3));
	CASE("fallocate", io_uring_prep_fallocate(s, 5, 1, 4096, 0x100000000ULL));
	CASE("fadvise", io_uring_prep_fadvise(s, 5, 64, 128, 4));
	CASE("madvise", io_uring_prep_madvise(s, AT(0x10000), 4096, 4));
	CASE("fsetxattr", io_uring_prep_fsetxattr(s, 5, AT(0x100), AT(0x200), 1, 7));
	CASE("fgetxattr", io_uring_prep_fgetxattr(s, 5, AT(0x100), AT(0x200), 7));
	CASE("setxattr", io_uring_prep_setxattr(s, AT(0x100), AT(0x200), AT(0x300), 2, 7));
	CASE("getxattr", io_uring_prep_getxattr(s, AT(0x100), AT(0x200), AT(0x300), 7));
	CASE("openat", io_uring_prep_openat(s, AT_FDCWD, AT(0x100), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
	CASE("openat direct", io_uring_prep_openat_direct(s, 7, AT(0x100), O_RDONLY, 0, 3));
	CASE("openat alloc", io_uring_prep_openat_direct(s, 7, AT(0x100), O_RDONLY, 0, IORING_FILE_INDEX_ALLOC - 1));
	CASE("openat2", io_uring_prep_openat2(s, 7, AT(0x100), AT(0x200)));
	CASE("openat2 direct", io_uring_prep_openat2_direct(s, 7, AT(0x100), AT(0x200), 4));
	CASE("close", io_uring_prep_close(s, 5));
	CASE("close direct", io_uring_prep_close_direct(s, 5));
	CASE("statx", io_uring_prep_statx(s, AT_FDCWD, AT(0x100), 0x100, 0x7ff, AT(0x400)));
	CASE("unlinkat", io_uring_prep_unlinkat(s, 7, AT(0x100), 0x200));
	CASE("mkdirat", io_uring_prep_mkdirat(s, 7, AT(0x100), 0755));
	CASE("renameat", io_uring_prep_renameat(s, 7, AT(0x100), 8, AT(0x200), 1));
	CASE("linkat", io_uring_prep_linkat(s, 7, AT(0x100), 8, AT(0x200), 0x400));
	CASE("symlinkat", io_uring_prep_symlinkat(s, AT(0x100), 7, AT(0x200)));
	CASE("splice", io_uring_prep_splice(s, 5, 4096, 6, -1, 65536, SPLICE_F_FD_IN_FIXED | 1));
	CASE("tee", io_uring_prep_tee(s, 5, 6, 100, 0));
	CASE("poll_add", io_uring_prep_poll_add(s, 5, POLLIN | POLLRDHUP));
	CASE("poll multishot", io_uring_prep_poll_multishot(s, 5, POLLIN));
	CASE("poll_remove", io_uring_prep_poll_remove(s, 0x123456789aULL));
	CASE("poll_update", io_uring_prep_poll_update(s, 1, 2, POLLOUT, IORING_POLL_UPDATE_EVENTS | IORING_POLL_UPDATE_USER_DATA));
	CASE("timeout", io_uring_prep_timeout(s, AT(0x500), 3, IORING_TIMEOUT_ABS | IORING_TIMEOUT_REALTIME | IORING_TIMEOUT_ETIME_SUCCESS));
	CASE("timeout_remove", io_uring_prep_timeout_remove(s, 99, 0));
	CASE("timeout_update", io_uring_prep_timeout_update(s, AT(0x500), 99, IORING_TIMEOUT_ABS));
	CASE("link_timeout", io_uring_prep_link_timeout(s, AT(0x500), IORING_TIMEOUT_BOOTTIME));
	CASE("accept", io_uring_prep_accept(s, 5, AT(0x600), AT(0x700), SOCK_CLOEXEC));
	CASE("accept multishot", io_uring_prep_multishot_accept(s, 5, NULL, NULL, SOCK_NONBLOCK));
	CASE("accept direct", io_uring_prep_accept_direct(s, 5, NULL, NULL, 0, 2));
	CASE("accept multishot direct", io_uring_prep_multishot_accept_direct(s, 5, NULL, NULL, 0));
	CASE("connect", io_uring_prep_connect(s, 5, AT(0x600), 16));
	CASE("socket", io_uring_prep_socket(s, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 6, 0));
	CASE("socket direct", io_uring_prep_socket_direct(s, AF_INET6, SOCK_DGRAM, 0, 1, 0));
	CASE("socket alloc", io_uring_prep_socket_direct_alloc(s, AF_INET6, SOCK_DGRAM, 0, 0));
	CASE("send", io_uring_prep_send(s, 5, AT(0x1000), 100, MSG_MORE));
	CASE("send to", (io_uring_prep_send(s, 5, AT(0x1000), 100, 0), io_uring_prep_send_set_addr(s, AT(0x600), 28)));
	CASE("recv", io_uring_prep_recv(s, 5, AT(0x1000), 100, MSG_WAITALL));
	CASE("recv multishot", (io_uring_prep_recv_multishot(s, 5, NULL, 0, 0), s->flags |= IOSQE_BUFFER_SELECT, s->buf_group = 11));
	CASE("send_zc", io_uring_prep_send_zc(s, 5, AT(0x1000), 100, 0, 8 /* IORING_SEND_ZC_REPORT_USAGE */));
	CASE("send_zc fixed", io_uring_prep_send_zc_fixed(s, 5, AT(0x1000), 100, 0, 0, 3));
	CASE("sendmsg", io_uring_prep_sendmsg(s, 5, AT(0x800), 0));
	CASE("sendmsg_zc", io_uring_prep_sendmsg_zc(s, 5, AT(0x800), 0));
	CASE("recvmsg", io_uring_prep_recvmsg(s, 5, AT(0x800), MSG_PEEK));
	CASE("recvmsg multishot", (io_uring_prep_recvmsg_multishot(s, 5, AT(0x800), 0), s->flags |= IOSQE_BUFFER_SELECT));
	CASE("shutdown", io_uring_prep_shutdown(s, 5, SHUT_WR));
	CASE("cancel", io_uring_prep_cancel64(s, 0x123456789aULL, 0));
	CASE("cancel all", io_uring_prep_cancel64(s, 4, IORING_ASYNC_CANCEL_ALL));
	CASE("cancel fd", io_uring_prep_cancel_fd(s, 5, IORING_ASYNC_CANCEL_ALL));
	CASE("cancel any", io_uring_prep_cancel64(s, 0, IORING_ASYNC_CANCEL_ANY));
	CASE("msg_ring", io_uring_prep_msg_ring(s, 9, 44, 0x123456789aULL, 0));
	CASE("files_update", io_uring_prep_files_update(s, AT(0x900), 4, 10));
	CASE("provide_buffers", io_uring_prep_provide_buffers(s, AT(0x10000), 4096, 16, 3, 100));
	CASE("remove_buffers", io_uring_prep_remove_buffers(s, 16, 3));
	CASE("epoll_ctl", io_uring_prep_epoll_ctl(s, 5, 6, 1, AT(0xa00)));
	CASE("flags", (io_uring_prep_nop(s), io_uring_sqe_set_flags(s, IOSQE_FIXED_FILE | IOSQE_IO_DRAIN | IOSQE_IO_LINK | IOSQE_ASYNC | IOSQE_CQE_SKIP_SUCCESS), io_uring_sqe_set_data64(s, 0xfedcba9876543210ULL)));
	return 0;
}
