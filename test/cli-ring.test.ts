/** `sluice ring …` as scripts see it. Runs the built command. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { ringRefusal } from '../src/linux/io-uring-features.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const refusal = ringRefusal();

function sluice(...args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'bin/sluice.js'), 'ring', ...args], {
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1' },
  });
  return { status, stdout, stderr };
}

describe('ring features', () => {
  it.skipIf(refusal !== undefined)(`tells what there is${refusal ? ` (skipped: ${refusal})` : ''}`, () => {
    const { status, stdout } = sluice('features');
    expect(status).toBe(0);
    expect(stdout).toMatch(/^io_uring of Linux \d/);
    expect(stdout).toMatch(/requests: \d+\n +nop readv writev fsync/);
    const { linux } = JSON.parse(sluice('features', '--json').stdout) as { linux: { opcodes: string[] } };
    expect(linux.opcodes).toContain('read');
    expect(sluice('features', '--require', 'read').status).toBe(0);
    expect(sluice('features', '--require', 'teleport')).toMatchObject({
      status: 4,
      stderr: "this kernel has no request 'teleport'\n",
    });
  });

  it.skipIf(refusal === undefined)('says why there is nothing', () => {
    expect(sluice('features')).toMatchObject({ status: 4, stderr: `${refusal}\n` });
  });
});
