import { describe, expect, it } from 'vitest';
import { setupFlags } from '../abi/io-uring/ring-flags.ts';
import { kernelRingFeatures, probeSetupFlags, ringRefusal } from './io-uring-features.ts';

const refusal = ringRefusal();

describe.skipIf(refusal !== undefined)(`features of io_uring${refusal ? ` (skipped: ${refusal})` : ''}`, () => {
  const found = refusal === undefined ? kernelRingFeatures() : undefined;

  it('are those that rings here use, and more', () => {
    for (const flag of found!.inForce) if (flag in setupFlags) expect(found!.setupFlags, flag).toContain(flag);
    expect(found!.opcodes).toEqual(expect.arrayContaining(['nop', 'read', 'write', 'openat', 'accept', 'splice']));
    expect(found!.opcodes).not.toContain('bpf');
    expect(found!.features).toContain('EXT_ARG');
    expect(found!.limits.workers[0]).toBeGreaterThan(0);
    expect(found!.limits.openFiles).toBeGreaterThan(16);
  });

  it('are found one by one as the kernel lists them, where it does', () => {
    const probed = probeSetupFlags();
    expect(probed).toContain('CQSIZE');
    if (found!.registerOpcodes === undefined) return;
    expect(probed).toEqual(found!.setupFlags.filter((flag) => !['ATTACH_WQ', 'REGISTERED_FD_ONLY'].includes(flag)));
    expect(found!.registerOpcodes).toContain('QUERY');
    expect(found!.enterFlags).toContain('EXT_ARG');
  });
});
