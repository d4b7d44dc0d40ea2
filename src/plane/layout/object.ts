/**
 * Objects of the kernel that user space models, for maps that are keyed by them or hold them: sockets, tasks, inodes, control groups. A
 * header, and behind it what programs hold a pointer to. User space names them by their ids, where Linux has descriptors.
 */

/** u32: address of the next object in the list of all (ROOT_OBJECTS), 0 at the end; OBJECT_SOCKET and so on; id; number of references. */
export const OBJECT_NEXT = 0;
export const OBJECT_KIND = 4;
export const OBJECT_ID = 8;
export const OBJECT_REFERENCES = 12;
/** u32: pages that the page allocator gave. */
export const OBJECT_PAGE_COUNT = 16;
/** What the program's pointer points to. */
export const OBJECT_BODY = 64;

export const OBJECT_SOCKET = 1;
export const OBJECT_TASK = 2;
export const OBJECT_INODE = 3;
export const OBJECT_CGROUP = 4;

/**
 * Body of a socket: struct bpf_sock (SOCK_SIZE bytes, layout/skb.ts), u64 cookie, u64 id of its control group, as in an sk_buff's
 * descriptor from SKB_SOCK on; then u32 1 if it has SO_REUSEPORT, and u32 1 while it is in a
 * reuseport_sockarray: it can be in one.
 */
export const SOCKET_COOKIE = 80;
export const SOCKET_CGROUP = 88;
export const SOCKET_REUSEPORT = 96;
export const SOCKET_IN_ARRAY = 100;
/** Offsets in struct bpf_sock, u32 each. */
export const BPF_SOCK_FAMILY = 4;
export const BPF_SOCK_TYPE = 8;
export const BPF_SOCK_PROTOCOL = 12;
export const BPF_SOCK_STATE = 72;
/** Addresses and ports of struct bpf_sock: own ones (port: u32 in host order), and the other end's (port: u16 in network order). */
export const BPF_SOCK_SRC_IP4 = 24;
export const BPF_SOCK_SRC_IP6 = 28;
export const BPF_SOCK_SRC_PORT = 44;
export const BPF_SOCK_DST_PORT = 48;
export const BPF_SOCK_DST_IP4 = 52;
export const BPF_SOCK_DST_IP6 = 56;

/** Bytes of a body: more than any struct that programs look into has. */
export const OBJECT_BODY_SIZE = 0xff00;
