/** `sluice test` as people run it: files that are bad beside good ones, reports, and watching. Runs the built command. */
import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const command = join(root, 'bin/sluice.js');
const scratch = mkdtempSync(join(tmpdir(), 'sluice-cli-test-'));
afterAll(() => rmSync(scratch, { recursive: true }));
const env = { ...process.env, NO_COLOR: '1' };

const cases = [{ name: 'passes ARP', packet: [{ ethernet: { etherType: 2054 } }], expect: { verdict: 'XDP_PASS' } }];
writeFileSync(join(scratch, 'a.bpf.test.json'), JSON.stringify({ object: 'absent.bpf.o', cases }));
writeFileSync(join(scratch, 'b.bpf.test.json'), '{');
writeFileSync(
  join(scratch, 'c.bpf.test.json'),
  JSON.stringify({ object: 'parser.bpf.o', program: 'xdp_parser', cases }),
);
copyFileSync(join(root, 'bpf/objects/xdp_parser.bpf.o'), join(scratch, 'parser.bpf.o'));

function test(...args: readonly string[]) {
  return spawnSync(process.execPath, [command, 'test', ...args], { cwd: scratch, encoding: 'utf8', env });
}

it('a bad file is a failure of its own, and exit code 3; the others run', () => {
  const { status, stdout } = test('--engine', 'jit', '--reporter', 'tap');
  expect(status).toBe(3);
  const results = stdout.split('\n').filter((line) => /^(not )?ok /.test(line));
  expect(results).toEqual([
    'not ok 1 - a.bpf.test.json: the file and its object can be read (jit)',
    'not ok 2 - b.bpf.test.json: the file and its object can be read (jit)',
    'ok 3 - c.bpf.test.json: passes ARP (jit)',
  ]);
  expect(stdout).toContain('absent.bpf.o');
  const junit = test('--engine', 'jit', '--reporter', 'junit').stdout;
  expect(junit.match(/<failure /g)).toHaveLength(2);
  expect(junit.match(/<testcase /g)).toHaveLength(3);
});

/** `sluice test PATTERN --watch` for as long as `use` takes. */
async function watching(
  pattern: string,
  use: (seen: () => string, until: (condition: () => boolean) => Promise<void>) => Promise<void>,
): Promise<void> {
  const child = spawn(process.execPath, [command, 'test', pattern, '--watch', '--engine', 'jit'], {
    cwd: scratch,
    env,
  });
  let seen = '';
  let heard = () => {};
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      seen += text;
      heard();
    });
  const until = async (condition: () => boolean) => {
    while (!condition())
      await new Promise<void>((resolve) => {
        heard = resolve;
      });
  };
  try {
    await use(() => seen, until);
  } finally {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await ended;
  }
}

it('watching runs again when the missing object comes, and not before', () =>
  watching('a.bpf.test.json', async (seen, until) => {
    const runs = () => seen().match(/\d+ passed, /g)?.length ?? 0;
    await until(() => seen().includes('watching 2 files'));
    expect(seen()).toContain('0 passed, 1 failed');
    // Five times as long as it takes to look at a file.
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect(runs()).toBe(1);
    copyFileSync(join(scratch, 'parser.bpf.o'), join(scratch, 'absent.bpf.o'));
    // Eight programs, and the test names none.
    await until(() => runs() >= 2);
    writeFileSync(
      join(scratch, 'a.bpf.test.json'),
      JSON.stringify({ object: 'absent.bpf.o', program: 'xdp_parser', cases }),
    );
    await until(() => seen().includes('1 passed, 0 failed'));
  }));

it('watching sees tests that come and go', () => {
  const folder = join(scratch, 'growing');
  const first = join(folder, 'one', 'first.bpf.test.json');
  mkdirSync(join(folder, 'one'), { recursive: true });
  const text = JSON.stringify({ object: join(scratch, 'parser.bpf.o'), program: 'xdp_parser', cases });
  writeFileSync(first, text);
  return watching('growing', async (seen, until) => {
    await until(() => seen().includes('1 passed, 0 failed'));
    mkdirSync(join(folder, 'two'));
    writeFileSync(join(folder, 'two', 'second.bpf.test.json'), text);
    await until(() => seen().includes('2 passed, 0 failed'));
    rmSync(first);
    await until(() => (seen().match(/1 passed, 0 failed/g)?.length ?? 0) === 2);
  });
});
