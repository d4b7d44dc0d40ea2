/** hooks/xdp: XDP programs over packets in memory: test runs and captures. */
import { xdp } from '../../abi/programs/xdp.ts';
import type { Hook } from '../../runtime/hook.ts';
import { testRunXdp } from './test-run.ts';

export { type FrameCounters, XdpAttachment, type XdpAttachmentOptions } from './attachment.ts';
export { type CaptureOptions, type FrameResult, runCapture } from './capture.ts';
export { captureDevice, type Device, type NicOptions, nic, plainDevice, type Received, veth } from './device.ts';

export {
  defaultRss,
  type FrameCopy,
  type FrameCpus,
  type FrameOutcome,
  FrameSource,
  type FrameSourceOptions,
  type SpreadCounters,
} from './frame-source.ts';
export {
  type SpreadCopy,
  type SpreadEnd,
  type SpreadOptions,
  type SpreadPacket,
  type SpreadResult,
  spreadCapture,
} from './spread.ts';

export const xdpHook: Hook = { declaration: xdp, testRun: testRunXdp };
