/**
 * linux/: the system-call layer of the target `linux`.
 *
 * This file: `sluice/linux`, what programs of the kernel are attached with. Their handles come from `load(object, { target: 'linux' })`, or
 * from `loadLinux`, whose options only the kernel has. Importing it loads the system-call layer: in Node on Linux only.
 */
export {
  AfXdpAttachment,
  type AfXdpAttachOptions,
} from './af-xdp-attachment.ts';
export { bpfRefusal, type KernelFeatures, kernelFeatures } from './features.ts';
export { LinuxRing, type LinuxRingOptions, type RingMemory } from './io-uring.ts';
export { type KernelRingFeatures, kernelRingFeatures, ringRefusal } from './io-uring-features.ts';
export {
  attachCgroup,
  attachNetns,
  attachRawTracepoint,
  attachStructOps,
  attachTcx,
  attachXdp,
  type KernelLink,
  type XdpMode,
} from './links.ts';
export type { LiveFrame } from './live-frame.ts';
export { type LinuxLoadOptions, type LinuxObject, loadLinux } from './load.ts';
export { interfaceIndex, interfaceName, interfaceNames } from './netdev.ts';
export type { KernelProgram } from './programs.ts';
export { FrameWriter } from './steering/frame-writer.ts';
export {
  type SteeringEngine,
  type TapCounters,
  TapSteering,
  type TapSteeringOptions,
  type TapWorkCounters,
  type TapWorkOptions,
} from './steering/index.ts';
export { type Sink, type SinkFactory, type SinkHost, toNobody } from './steering/sink.ts';
export { toAfXdp } from './steering/sink-af-xdp.ts';
export { type SteeredBatch, SteeredPacket, toFunction } from './steering/sink-callback.ts';
export { toFrames } from './steering/sink-frames.ts';
export { toPcapng } from './steering/sink-pcapng.ts';
export { toUnixSockets } from './steering/sink-socket.ts';
export { toTaps } from './steering/sink-tap.ts';
export type { LinuxStructOps } from './struct-ops-map.ts';
export { ProgramRefusedError, SyscallError } from './syscall-error.ts';
export { openTunQueues, type TunFeatures, type TunOptions, TunQueue, tunFeatures, tunRefusal } from './tun.ts';
