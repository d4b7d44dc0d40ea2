/** hooks/xdp: XDP programs over packets in memory: test runs and captures. */
import { xdp } from '../../abi/programs/xdp.ts';
import type { Hook } from '../../runtime/hook.ts';
import { testRunXdp } from './test-run.ts';

export { type CaptureOptions, type FrameResult, runCapture } from './capture.ts';
export { captureDevice, type Device, type NicOptions, nic, plainDevice, type Received, veth } from './device.ts';

export const xdpHook: Hook = { declaration: xdp, testRun: testRunXdp };
