/** Constants of TUN and TAP devices: include/uapi/linux/if_tun.h (Linux 6.18). */

/** Requests on a descriptor of /dev/net/tun. Those that take a number take it by address, unless said otherwise. */
export const tunRequests = {
  SETIFF: 0x4004_54ca,
  GETIFF: 0x8004_54d2,
  GETFEATURES: 0x8004_54cf,
  /** The number itself. */
  SETPERSIST: 0x4004_54cb,
  SETOFFLOAD: 0x4004_54d0,
  GETVNETHDRSZ: 0x8004_54d7,
  SETVNETHDRSZ: 0x4004_54d8,
  SETQUEUE: 0x4004_54d9,
  GETVNETLE: 0x8004_54dd,
  SETVNETLE: 0x4004_54dc,
  SETSNDBUF: 0x4004_54d4,
  SETSTEERINGEBPF: 0x8004_54e0,
  SETFILTEREBPF: 0x8004_54e1,
} as const;

/** Flags of struct ifreq, and what TUNGETFEATURES answers. */
export const tunFlags = {
  TUN: 0x0001,
  TAP: 0x0002,
  NAPI: 0x0010,
  NAPI_FRAGS: 0x0020,
  NO_CARRIER: 0x0040,
  MULTI_QUEUE: 0x0100,
  ATTACH_QUEUE: 0x0200,
  DETACH_QUEUE: 0x0400,
  PERSIST: 0x0800,
  NO_PI: 0x1000,
  ONE_QUEUE: 0x2000,
  VNET_HDR: 0x4000,
  TUN_EXCL: 0x8000,
} as const;

/** What the reader of a device can take over from the kernel, and what it then finds in the header of a packet. */
export const tunOffloads = {
  /** Checksums that are not computed yet. */
  csum: 0x01,
  tso4: 0x02,
  tso6: 0x04,
  tsoEcn: 0x08,
  ufo: 0x10,
  uso4: 0x20,
  uso6: 0x40,
  /** Linux 6.17. */
  udpTunnelGso: 0x80,
  udpTunnelGsoCsum: 0x100,
} as const;

export type TunOffload = keyof typeof tunOffloads;

/** MAX_TAP_QUEUES (drivers/net/tun.c). */
export const MOST_TUN_QUEUES = 256;
