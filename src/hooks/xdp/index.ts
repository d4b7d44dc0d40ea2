/** hooks/xdp: XDP programs over packets in memory: test runs and captures. */
import { xdp } from '../../abi/programs/xdp.ts';
import type { Hook } from '../../runtime/hook.ts';
import { testRunXdp } from './test-run.ts';

export { type FrameResult, runCapture } from './capture.ts';

export const xdpHook: Hook = { declaration: xdp, testRun: testRunXdp };
