/**
 * Maps of sockets (object.ts): sockmap and reuseport_sockarray are arrays of u32, addresses of sockets' bodies, 0 where there is none;
 * sockhash is a hash map with such values. Each element holds a reference. User space writes ids of sockets and reads their cookies.
 */

/** Bytes of an element of the two arrays. */
export const SOCKET_SLOT_SIZE = 8;
/** u32: lock word of the writers, of all three. */
export const SOCKMAP_LOCK = 144;
/** Longest key of a sockhash (MAX_BPF_STACK). */
export const SOCKHASH_KEY_MAX = 512;

/** Socket type and states of include/uapi/linux/tcp.h and asm-generic/socket.h, as far as the maps look at them. */
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const TCP_ESTABLISHED = 1;
export const TCP_CLOSE = 7;
export const TCP_LISTEN = 10;
export const IPPROTO_TCP = 6;
export const IPPROTO_UDP = 17;
