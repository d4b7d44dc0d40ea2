/**
 * Virtqueues of a guest whose memory lies in the linear memory: the guest's regions, a block for each queue, and the device that they belong to. Layouts of the rings
 * themselves are virtio's (1.3, 2.7 "Split Virtqueues").
 */

/** Guest memory: u32 number of regions, then the regions. */
export const GUEST_REGIONS = 16;
export const GUEST_MAX_REGIONS = 32;
/** Region: u64 address in the guest, u64 address in the front end's process, u64 size in bytes; u32 address here. */
export const GUEST_REGION_PHYSICAL = 0;
export const GUEST_REGION_USER = 8;
export const GUEST_REGION_BYTES = 16;
export const GUEST_REGION_LOCAL = 24;
export const GUEST_REGION_SIZE = 32;
export const GUEST_SIZE = GUEST_REGIONS + GUEST_MAX_REGIONS * GUEST_REGION_SIZE;

/** Queue: u32 number of descriptors, a power of two; 0: it does not run. Addresses here of descriptors, available ring, used ring; of the guest's memory. */
export const VQ_ENTRIES = 0;
export const VQ_DESC = 4;
export const VQ_AVAIL = 8;
export const VQ_USED = 12;
export const VQ_MEMORY = 16;
/** u32: VQ_EVENT_IDX, VQ_MERGEABLE; bytes of a virtio-net header, 12 or 20. */
export const VQ_FLAGS = 20;
export const VQ_HEADER = 24;
export const VQ_EVENT_IDX = 1;
export const VQ_MERGEABLE = 2;
/** u32, of which 16 bits count: next place in the available ring, next in the used ring, that of the last signal. */
export const VQ_NEXT = 28;
export const VQ_USED_NEXT = 32;
export const VQ_SIGNALLED = 36;
/** u32: VQ_ERROR_*; once set the queue stands still. u32: a signal is due, if the driver wants one. */
export const VQ_ERROR = 40;
export const VQ_UNSIGNALLED = 44;
/** u64: packets and bytes that went through, packets that found no buffers or did not fit into them. */
export const VQ_PACKETS = 48;
export const VQ_BYTES = 56;
export const VQ_DROPPED = 64;
/** What was taken and is not given back yet: u32 number of segments and of chains. */
export const VQ_SEGMENT_COUNT = 72;
export const VQ_CHAIN_COUNT = 76;
/** u32: number of the first segment that the device may write, of a chain of both directions. */
export const VQ_WRITABLE_FROM = 80;
/** Segment: u32 address here, u32 length. Chain: u32 head, u32 number of its first segment. */
export const VQ_SEGMENTS = 128;
export const VQ_MAX_SEGMENTS = 1024;
export const VQ_CHAINS = VQ_SEGMENTS + VQ_MAX_SEGMENTS * 8;
export const VQ_MAX_CHAINS = 256;
export const VQ_SIZE = VQ_CHAINS + VQ_MAX_CHAINS * 8;

/** What a driver did wrong: more buffers available than there are descriptors; a descriptor's number; an address; a loop or too long a chain; a buffer of the wrong direction; no header. */
export const VQ_ERROR_INDEX = 1;
export const VQ_ERROR_DESCRIPTOR = 2;
export const VQ_ERROR_ADDRESS = 3;
export const VQ_ERROR_CHAIN = 4;
export const VQ_ERROR_DIRECTION = 5;
export const VQ_ERROR_HEADER = 6;

/** Network device: u32 number of receive queues, and the address of each one's block. u64: frames for queues that do not run. */
export const VNET_QUEUES = 0;
export const VNET_NO_QUEUE = 8;
export const VNET_QUEUE = 16;
export const VNET_MAX_QUEUES = 1024;
export const VNET_SIZE = VNET_QUEUE + VNET_MAX_QUEUES * 4;
