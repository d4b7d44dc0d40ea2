// The peer of `sluice bench xdp`: a plain AF_XDP receiver in copy mode, without a library.
//   afxdp-rx IFNAME SECONDS drop|echo
// Binds queue 0, attaches a program that sends all packets to the socket, looks at each packet's EtherType, and drops it or sends it back with
// exchanged addresses. Prints: packets, wall ns, CPU ns (user and system).
// Build: cc -O2 -o afxdp-rx afxdp-rx.c
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/if_xdp.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef AF_XDP
#define AF_XDP 44
#endif
#ifndef SOL_XDP
#define SOL_XDP 283
#endif

enum { FRAMES = 4096, FRAME_SIZE = 4096, RING = FRAMES / 2, BATCH = 64 };

struct ring {
  uint32_t *producer, *consumer, *flags, mask;
  void *entries;
};

static void die(const char *what) {
  perror(what);
  exit(1);
}

static int bpf(int command, union bpf_attr *attr) { return syscall(__NR_bpf, command, attr, sizeof *attr); }

static struct ring map_ring(int fd, const struct xdp_ring_offset *at, uint64_t page, uint32_t count, size_t entry) {
  char *base = mmap(0, at->desc + count * entry, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, page);
  if (base == MAP_FAILED) die("mmap");
  return (struct ring){(uint32_t *)(base + at->producer), (uint32_t *)(base + at->consumer), (uint32_t *)(base + at->flags),
                       count - 1, base + at->desc};
}

static void attach(int xsk, int ifindex) {
  union bpf_attr attr = {0};
  attr.map_type = BPF_MAP_TYPE_XSKMAP;
  attr.key_size = attr.value_size = 4;
  attr.max_entries = 1;
  int map = bpf(BPF_MAP_CREATE, &attr);
  if (map < 0) die("map");
  uint32_t key = 0, value = xsk;
  memset(&attr, 0, sizeof attr);
  attr.map_fd = map;
  attr.key = (uintptr_t)&key;
  attr.value = (uintptr_t)&value;
  if (bpf(BPF_MAP_UPDATE_ELEM, &attr) < 0) die("map update");
  struct bpf_insn insns[] = {
      {.code = 0x61, .dst_reg = 2, .src_reg = 1, .off = 16},         // r2 = rx_queue_index
      {.code = 0x18, .dst_reg = 1, .src_reg = 1, .imm = map}, {0},   // r1 = map
      {.code = 0xb7, .dst_reg = 3, .imm = 2},                        // r3 = XDP_PASS
      {.code = 0x85, .imm = 51},                                     // bpf_redirect_map
      {.code = 0x95},
  };
  memset(&attr, 0, sizeof attr);
  attr.prog_type = BPF_PROG_TYPE_XDP;
  attr.insns = (uintptr_t)insns;
  attr.insn_cnt = sizeof insns / sizeof *insns;
  attr.license = (uintptr_t)"GPL";
  int program = bpf(BPF_PROG_LOAD, &attr);
  if (program < 0) die("program");
  memset(&attr, 0, sizeof attr);
  attr.link_create.prog_fd = program;
  attr.link_create.target_ifindex = ifindex;
  attr.link_create.attach_type = BPF_XDP;
  if (bpf(BPF_LINK_CREATE, &attr) < 0) die("link");
}

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static uint64_t cpu(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000ull + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000ull;
}

int main(int argc, char **argv) {
  if (argc != 4) return fprintf(stderr, "afxdp-rx IFNAME SECONDS drop|echo\n"), 2;
  int ifindex = if_nametoindex(argv[1]), echo = strcmp(argv[3], "echo") == 0;
  if (ifindex == 0) die(argv[1]);
  uint64_t length = (uint64_t)(atof(argv[2]) * 1e9);
  int fd = socket(AF_XDP, SOCK_RAW, 0);
  if (fd < 0) die("socket");
  char *umem = mmap(0, FRAMES * FRAME_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (umem == MAP_FAILED) die("mmap");
  struct xdp_umem_reg reg = {.addr = (uintptr_t)umem, .len = FRAMES * FRAME_SIZE, .chunk_size = FRAME_SIZE};
  if (setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof reg) < 0) die("umem");
  int frames = FRAMES, ring = RING, budget = 1024;
  if (setsockopt(fd, SOL_XDP, XDP_UMEM_FILL_RING, &frames, 4) < 0 ||
      setsockopt(fd, SOL_XDP, XDP_UMEM_COMPLETION_RING, &frames, 4) < 0 ||
      setsockopt(fd, SOL_XDP, XDP_RX_RING, &ring, 4) < 0 || setsockopt(fd, SOL_XDP, XDP_TX_RING, &ring, 4) < 0)
    die("rings");
  struct xdp_mmap_offsets at;
  socklen_t size = sizeof at;
  if (getsockopt(fd, SOL_XDP, XDP_MMAP_OFFSETS, &at, &size) < 0) die("offsets");
  struct ring rx = map_ring(fd, &at.rx, XDP_PGOFF_RX_RING, RING, sizeof(struct xdp_desc));
  struct ring tx = map_ring(fd, &at.tx, XDP_PGOFF_TX_RING, RING, sizeof(struct xdp_desc));
  struct ring fill = map_ring(fd, &at.fr, XDP_UMEM_PGOFF_FILL_RING, FRAMES, 8);
  struct ring done = map_ring(fd, &at.cr, XDP_UMEM_PGOFF_COMPLETION_RING, FRAMES, 8);
  struct sockaddr_xdp address = {.sxdp_family = AF_XDP, .sxdp_flags = XDP_COPY | XDP_USE_NEED_WAKEUP, .sxdp_ifindex = ifindex};
  // A queue is free a moment after its last socket was closed.
  for (int tries = 100; bind(fd, (struct sockaddr *)&address, sizeof address) < 0; usleep(10000))
    if (tries-- == 0) die("bind");
  setsockopt(fd, SOL_XDP, 9 /* XDP_MAX_TX_SKB_BUDGET */, &budget, 4);
  for (uint32_t i = 0; i < FRAMES; i++) ((uint64_t *)fill.entries)[i] = (uint64_t)i * FRAME_SIZE;
  __atomic_store_n(fill.producer, FRAMES, __ATOMIC_RELEASE);
  attach(fd, ifindex);

  uint64_t packets = 0, other = 0, start = 0, start_cpu = 0, warm = 0;
  struct pollfd wait = {.fd = fd, .events = POLLIN};
  puts("ready");
  fflush(stdout);
  // Measured from 0.3 s after the first packet on.
  for (;;) {
    uint64_t t = now();
    if (warm == 0 && packets > 0) warm = t + 300000000;
    if (start == 0 && warm != 0 && t >= warm) packets = 0, start = t, start_cpu = cpu();
    if (start != 0 && t >= start + length) break;
    uint32_t from = *rx.consumer, count = __atomic_load_n(rx.producer, __ATOMIC_ACQUIRE) - from;
    uint32_t give = *fill.producer, send = *tx.producer;
    uint32_t sent = *done.consumer, completed = __atomic_load_n(done.producer, __ATOMIC_ACQUIRE) - sent;
    for (uint32_t i = 0; i < completed; i++)
      ((uint64_t *)fill.entries)[give++ & fill.mask] = ((uint64_t *)done.entries)[(sent + i) & done.mask] & ~(FRAME_SIZE - 1ull);
    __atomic_store_n(done.consumer, sent + completed, __ATOMIC_RELEASE);
    if (count > BATCH) count = BATCH;
    uint32_t room = RING - (send - __atomic_load_n(tx.consumer, __ATOMIC_ACQUIRE));
    for (uint32_t i = 0; i < count; i++) {
      struct xdp_desc desc = ((struct xdp_desc *)rx.entries)[(from + i) & rx.mask];
      unsigned char *packet = (unsigned char *)umem + desc.addr;
      if (packet[12] != 8) other++;
      if (echo && room > 0) {
        unsigned char mac[6];
        memcpy(mac, packet, 6);
        memcpy(packet, packet + 6, 6);
        memcpy(packet + 6, mac, 6);
        ((struct xdp_desc *)tx.entries)[send++ & tx.mask] = (struct xdp_desc){.addr = desc.addr, .len = desc.len};
        room--;
      } else {
        ((uint64_t *)fill.entries)[give++ & fill.mask] = desc.addr & ~(FRAME_SIZE - 1ull);
      }
    }
    __atomic_store_n(fill.producer, give, __ATOMIC_RELEASE);
    __atomic_store_n(rx.consumer, from + count, __ATOMIC_RELEASE);
    __atomic_store_n(tx.producer, send, __ATOMIC_RELEASE);
    packets += count;
    if (send != __atomic_load_n(tx.consumer, __ATOMIC_ACQUIRE)) sendto(fd, 0, 0, MSG_DONTWAIT, 0, 0);
    if (count == 0) poll(&wait, 1, 10);
  }
  printf("%llu %llu %llu\n", (unsigned long long)packets, (unsigned long long)(now() - start), (unsigned long long)(cpu() - start_cpu));
  if (other > 0) fprintf(stderr, "%llu packets were not IPv4\n", (unsigned long long)other);
  return 0;
}
