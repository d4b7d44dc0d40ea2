/** Runs that repeat: recordings, stepping, coverage; and the reporters of program tests. Runs the built command. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'sluice-replay-'));
afterAll(() => rmSync(scratch, { recursive: true }));
const firewall = join(root, 'bpf/objects/xdp_firewall.bpf.o');
const packet = join(scratch, 'packet.bin');
writeFileSync(packet, Buffer.from('0200000000020200000000010800450000', 'hex'));

function sluice(...args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'bin/sluice.js'), ...args], {
    cwd: scratch,
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1' },
  });
  return { status, stdout, stderr };
}

/** An object whose program returns what helper 5 (clock) and 7 (random) give, mixed. */
function clockObject(): string {
  const source = join(scratch, 'clock.s');
  writeFileSync(source, 'clock:\n  call 7\n  r6 = r0\n  call 5\n  r0 += r6\n  exit\n');
  const object = join(scratch, 'clock.o');
  expect(sluice('asm', source, '-o', object).status).toBe(0);
  return object;
}

describe('recordings', () => {
  it('of clock and random numbers are replayed exactly, on either engine', () => {
    const file = join(scratch, 'clock.json');
    expect(sluice('run', clockObject(), '--data-in', packet, '--repeat', '3', '--record', file).status).toBe(0);
    for (const engine of ['jit', 'interpreter']) {
      const { status, stdout } = sluice('replay', file, '--engine', engine);
      expect(stdout).toContain(`the same: 1 runs, 0 map entries, 0 lines of trace (${engine})`);
      expect(status).toBe(0);
    }
    const recording = JSON.parse(readFileSync(file, 'utf8'));
    recording.surroundings.clock.at = String(BigInt(recording.surroundings.clock.at) + 1n);
    writeFileSync(file, JSON.stringify(recording));
    const changed = sluice('replay', file);
    expect(changed.status).toBe(1);
    expect(changed.stdout).toMatch(/run 0: recorded .* found /);
    writeFileSync(file, '{}');
    expect(sluice('replay', file).status).toBe(3);
  });

  it('keep the sockets of the network', () => {
    const file = join(scratch, 'sockets.json');
    const source = join(scratch, 'lookup.s');
    // The port of what listens at 10.0.0.1:80.
    const program = `lookup:
  r2 = 0
  *(u64 *)(r10 - 16) = r2
  r2 = 0x100000a
  *(u32 *)(r10 - 12) = r2
  r2 = 0x50000000
  *(u32 *)(r10 - 8) = r2
  r2 = r10
  r2 += -16
  r3 = 12
  r4 = -1
  r5 = 0
  call 84
  if r0 == 0 goto none
  r6 = *(u32 *)(r0 + 44)
  r1 = r0
  call 86
  r0 = r6
  exit
none:
  r0 = 0
  exit
`;
    writeFileSync(source, program);
    const object = join(scratch, 'lookup.o');
    expect(sluice('asm', source, '-o', object).status).toBe(0);
    const network = join(scratch, 'network.json');
    writeFileSync(network, JSON.stringify({ interfaces: [], sockets: [{ local: '10.0.0.1:80' }] }));
    const run = sluice('run', object, '--data-in', packet, '--network', network, '--record', file);
    expect(run).toMatchObject({ status: 0 });
    const recording = JSON.parse(readFileSync(file, 'utf8'));
    expect(recording.runs[0].outcome.r0).toBe('80');
    for (const engine of ['jit', 'interpreter']) expect(sluice('replay', file, '--engine', engine).status).toBe(0);
    recording.surroundings.network.sockets = [];
    writeFileSync(file, JSON.stringify(recording));
    expect(sluice('replay', file).status).toBe(1);
  });

  it('keep the results that helpers were given', () => {
    const file = join(scratch, 'results.json');
    const given = ['--helper-result', 'bpf_get_prandom_u32=10,-1,7', '--helper-result', 'bpf_ktime_get_ns=0x64'];
    const input = ['--data-in', packet, '--repeat', '2'];
    expect(sluice('run', clockObject(), ...input, ...given, '--record', file)).toMatchObject({ status: 0 });
    const recording = JSON.parse(readFileSync(file, 'utf8'));
    expect(recording.runs[0].outcome.r0).toBe('99');
    expect(recording.surroundings.helperResults).toEqual({
      bpf_get_prandom_u32: ['10', '-1', '7'],
      bpf_ktime_get_ns: ['100'],
    });
    for (const engine of ['jit', 'interpreter']) expect(sluice('replay', file, '--engine', engine).status).toBe(0);
    recording.surroundings.helperResults.bpf_ktime_get_ns = ['101'];
    writeFileSync(file, JSON.stringify(recording));
    expect(sluice('replay', file).status).toBe(1);
    const bad = (text: string) => sluice('run', clockObject(), '--data-in', packet, '--helper-result', text);
    expect(bad('bpf_get_prandom_u32=x').status).toBe(2);
    expect(bad('bpf_map_lookup_elem=1').stderr).toContain('its result is a pointer');
  });
});

describe('coverage', () => {
  it('counts lines and instructions', () => {
    const file = join(scratch, 'out.lcov');
    const { status, stdout } = sluice(
      ...['run', firewall, '--data-in', packet, '--engine', 'interpreter', '--coverage', file],
    );
    expect(status).toBe(0);
    expect(stdout).toMatch(/xdp_firewall +565 +\d+/);
    const text = readFileSync(file, 'utf8');
    const source = readFileSync(join(root, 'bpf/xdp_firewall.bpf.c'), 'utf8').split('\n');
    const lineOf = (wanted: string) => source.findIndex((line) => line.includes(wanted)) + 1;
    expect(text).toMatch(/^SF:.*xdp_firewall\.bpf\.c$/m);
    expect(text).toContain('FNDA:1,xdp_firewall');
    expect(text).toContain(`DA:${lineOf('__u32 length = ctx->data_end - ctx->data;')},1`);
    expect(text).toContain(`DA:${lineOf('*rule = listed->rule;')},0`);
    // One run, no loop behind that line: each jump goes one way.
    const end = lineOf('__u32 length = ctx->data_end - ctx->data;');
    const branches = [...text.matchAll(/^BRDA:(\d+),(\d+),([01]),(-|\d+)$/gm)].map(([, ...each]) => each);
    expect(branches.length).toBe(Number(/^BRF:(\d+)$/m.exec(text)?.[1]));
    expect(branches.filter(([, , , count]) => Number(count) > 0)).toHaveLength(Number(/^BRH:(\d+)$/m.exec(text)?.[1]));
    const later = branches.filter(([line, , , count]) => Number(line) > end && count !== '-');
    expect(later.length).toBeGreaterThan(0);
    for (const [line, block, way, count] of later) {
      const other = later.find((each) => each[0] === line && each[1] === block && each[2] !== way);
      expect(Number(count) + Number(other?.[3])).toBe(1);
    }
    expect(sluice('run', firewall, '--data-in', packet, '--coverage', file).status).toBe(2);
  });
});

describe('stepping', () => {
  it('shows what each instruction changed, from any step, up to a place', () => {
    const object = clockObject();
    const { stdout, status } = sluice('step', object, '--data-in', packet, '--clock', '4096', '--json');
    expect(status).toBe(0);
    const { steps, shown, before } = JSON.parse(stdout);
    expect(steps).toBe(5);
    expect(before).toEqual({ r1: 'context+0', r10: 'stack+512' });
    expect(shown[2]).toMatchObject({ slot: 2, insn: 'call 0x5', changed: { r0: '0x1000' } });
    const later = JSON.parse(
      sluice('step', object, '--data-in', packet, '--clock', '4096', '--from', '2', '--json').stdout,
    );
    expect(later.shown).toEqual(shown.slice(2));
    const until = sluice('step', object, '--data-in', packet, '--until', '3', '--json');
    expect(JSON.parse(until.stdout).shown).toHaveLength(4);
    expect(sluice('step', object, '--data-in', packet, '--until', '99').status).toBe(1);
  });
});

describe('stepping back and forth', () => {
  const session = (...args: readonly string[]) => {
    const commands = args.at(-1)!;
    const { status, stdout } = spawnSync(
      process.execPath,
      [join(root, 'bin/sluice.js'), 'step', ...args.slice(0, -1), '-i'],
      {
        cwd: scratch,
        encoding: 'utf8',
        input: commands,
        env: { ...process.env, NO_COLOR: '1' },
      },
    );
    return { status, lines: stdout.trimEnd().split('\n') };
  };

  it('walks by instruction, by source line, to places, and to the end', () => {
    const { status, lines } = session(
      firewall,
      '--data-in',
      packet,
      'n\nn\np\nl\nk\ne\np\ng 2\nw 0\nu 999\nzzz\nq\nn\n',
    );
    expect(status).toBe(0);
    const at = lines.flatMap((line) => /^ +(\d+) +(\d+): /.exec(line)?.slice(1, 3).map(Number) ?? []);
    expect(at.slice(0, 10)).toEqual([0, 0, 1, 1, 2, 2, 1, 1, 8, 8]); // start, n, n, p, l
    expect(at.slice(10, 12)).toEqual([1, 1]); // k: the first step of the line before
    expect(at.slice(-4)).toEqual([2, 2, 0, 0]);
    expect(lines.filter((line) => /^; .*xdp_firewall\.bpf\.c:\d+$/.test(line)).length).toBeGreaterThan(2);
    expect(lines.some((line) => /^end: XDP_\w+ \(\d\) after \d+ steps$/.test(line))).toBe(true);
    expect(lines.at(-2)).toBe('999 is not reached from here');
    expect(lines.at(-1)).toBe('z is no command; h lists them');
  });

  it('shows registers, the stack, and what was done to maps', () => {
    const source = join(scratch, 'stack.s');
    writeFileSync(source, 'stack:\n  r1 = 7\n  *(u64 *)(r10 - 8) = r1\n  r0 = 2\n  exit\n');
    const object = join(scratch, 'stack.o');
    expect(sluice('asm', source, '-o', object).status).toBe(0);
    const { lines } = session(object, '--data-in', packet, 's\nn\nn\nr\ns\nm\n');
    expect(lines).toContain('all zero');
    expect(lines).toContain('r1  0x7');
    expect(lines).toContain('r10-8   0x0000000000000007');
    expect(lines).toContain('no map operations so far');
  });

  it('steps a later run of a recording with the maps as the runs before left them', () => {
    const file = join(scratch, 'runs.json');
    expect(sluice('run', clockObject(), '--data-in', packet, '--repeat', '1', '--record', file).status).toBe(0);
    const recording = JSON.parse(readFileSync(file, 'utf8'));
    recording.runs.push(recording.runs[0]);
    writeFileSync(file, JSON.stringify(recording));
    const [first, second] = ['0', '1'].map((run) => JSON.parse(sluice('step', file, '--run', run, '--json').stdout));
    expect(first.steps).toBe(5);
    expect(second.shown[0].changed.r0).not.toBe(first.shown[0].changed.r0); // the random numbers go on
    expect(sluice('step', file, '--run', '2').status).toBe(2);
  });
});

describe('reporters of program tests', () => {
  it('are what other tools read', () => {
    const test = join(scratch, 'a.bpf.test.json');
    const cases = [
      { name: 'right', packet: '00'.repeat(14), expect: { verdict: 'pass' } },
      { name: 'a<b', packet: '00'.repeat(14), expect: { verdict: 'drop' } },
    ];
    writeFileSync(test, JSON.stringify({ object: firewall, cases }));
    const text = sluice('test', test, '--engine', 'jit');
    expect(text.status).toBe(1);
    expect(text.stdout).toContain('verdict: expected XDP_DROP, found XDP_PASS');
    expect(text.stdout.trimEnd().split('\n').at(-1)).toBe('1 passed, 1 failed, 0 skipped');
    const lcov = join(scratch, 'tests.lcov');
    expect(sluice('test', test, '--coverage', lcov).status).toBe(1);
    expect(readFileSync(lcov, 'utf8')).toContain('FNDA:2,xdp_firewall');
    expect(readFileSync(lcov, 'utf8')).toMatch(/^BRDA:\d+,\d+,[01],2$/m);
    const tap = sluice('test', test, '--engine', 'jit', '--reporter', 'tap').stdout;
    expect(tap).toMatch(/^TAP version 14\n1\.\.2\nok 1 - a\.bpf\.test\.json: right \(jit\)\nnot ok 2 - /);
    const junit = sluice('test', test, '--engine', 'jit', '--reporter', 'junit').stdout;
    expect(junit).toContain('tests="2" failures="1" skipped="0"');
    expect(junit).toContain('name="a&lt;b (jit)"');
    expect(JSON.parse(sluice('test', scratch, '--json').stdout)).toMatchObject({ passed: 2, failed: 2, skipped: 0 });
  });
});
