/** The command line as scripts see it: exit codes, JSON documents, messages. Runs the built command. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { version } from '../src/abi/stability/version.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { clangs, compileBpf, prelude } from './clang.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'sluice-cli-'));
afterAll(() => rmSync(scratch, { recursive: true }));
const firewall = join(root, 'bpf/objects/xdp_firewall.bpf.o');
const parser = join(root, 'bpf/objects/xdp_parser.bpf.o');

function sluice(args: readonly string[], input = '') {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'bin/sluice.js'), ...args], {
    cwd: scratch,
    input,
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1' },
  });
  return { status, stdout, stderr };
}

function json(args: readonly string[]): { status: number | null; document: Record<string, unknown> } {
  const { status, stdout } = sluice([...args, '--json']);
  return { status, document: JSON.parse(stdout) as Record<string, unknown> };
}

const program = `
drop_short:
  r2 = *(u32 *)(r1 + 0x0)
  r3 = *(u32 *)(r1 + 0x4)
  r3 -= r2
  r0 = 2
  if r3 > 59 goto +1
  r0 = 1
  exit
`;

function assembled(name = 'short.o'): string {
  const source = join(scratch, 'drop_short.s');
  writeFileSync(source, program);
  const object = join(scratch, name);
  expect(sluice(['asm', source, '-o', object])).toMatchObject({ status: 0 });
  return object;
}

describe('exit codes', () => {
  it('0 for help, 2 for usage, with the nearest verb', () => {
    expect(sluice(['--help']).status).toBe(0);
    expect(sluice(['--version'])).toMatchObject({ status: 0, stdout: `${version}\n` });
    const wrong = sluice(['verfy']);
    expect(wrong.status).toBe(2);
    expect(wrong.stderr).toContain('Did you mean verify?');
    expect(sluice(['run', firewall, '--repeat', 'often']).stderr).toContain('must be an integer');
    expect(sluice(['bench', 'nothing']).status).toBe(2);
  });

  it('3 for bad input, with the place', () => {
    expect(sluice(['inspect', 'absent.o'])).toMatchObject({ status: 3 });
    writeFileSync(join(scratch, 'not.o'), 'not an object');
    const bad = sluice(['inspect', 'not.o']);
    expect(bad.status).toBe(3);
    expect(bad.stderr).toContain('not.o');
    const { status, document } = json(['disasm', `${firewall}:nothing`]);
    expect(status).toBe(3);
    expect(document['error']).toMatchObject({ code: 'SLUICE_NO_PROGRAM' });
    expect(sluice(['test']).stderr).toContain('no *.bpf.test.json there');
  });

  it('4 for what is not there', () => {
    expect(sluice(['run', firewall, '--data-in', 'none.bin', '--target', 'mars']).status).toBe(2);
    const source = join(scratch, 'gotox.s');
    writeFileSync(source, 'gotox:\n r1 = 0\n gotox r1\n');
    sluice(['asm', source, '-o', 'gotox.o']);
    const { status, document } = json(['verify', join(scratch, 'gotox.o')]);
    expect(status).toBe(4);
    expect(document).toMatchObject({ programs: [{ verdict: 'unsupported', feature: 'gotox' }] });
  });

  it('0 for an accepted program, with its figures', () => {
    const { status, document } = json(['verify', firewall]);
    expect(status).toBe(0);
    expect(document).toMatchObject({
      schema: 'sluice.verify/1',
      programs: [{ program: 'xdp_firewall', verdict: 'accept' }],
    });
  });

  it('1 for no: a program of bad structure', () => {
    const source = join(scratch, 'dead.s');
    writeFileSync(source, 'dead:\n r0 = 0\n exit\n r0 = 1\n exit\n');
    sluice(['asm', source, '-o', 'dead.o']);
    const { status, document } = json(['verify', join(scratch, 'dead.o')]);
    expect(status).toBe(1);
    expect(document).toMatchObject({
      schema: 'sluice.verify/1',
      programs: [{ program: 'dead', verdict: 'reject', diagnostics: [{ problem: 'unreachable insn 2', slot: 2 }] }],
    });
  });
});

describe('asm, disasm, inspect', () => {
  it('gives back the text that went in', () => {
    const object = assembled();
    const { stdout } = sluice(['disasm', '--labels', object]);
    const again = join(scratch, 'again.s');
    writeFileSync(again, stdout);
    expect(sluice(['asm', again, '-o', 'again.o']).status).toBe(0);
    expect(readFileSync(join(scratch, 'again.o'))).toEqual(readFileSync(object));
  });

  it('names line and column of a mistake', () => {
    writeFileSync(join(scratch, 'bad.s'), 'r0 = 1\nr11 = 2\nexit\n');
    const { status, stderr } = sluice(['asm', 'bad.s', '-o', 'bad.o']);
    expect(status).toBe(3);
    expect(stderr).toContain('line 2');
  });

  it('shows what an object needs', () => {
    const { document } = json(['inspect', parser]);
    expect(document).toMatchObject({ schema: 'sluice.inspect/1', object: 'xdp_parser.bpf.o' });
    const { stdout } = sluice(['inspect', firewall]);
    expect(stdout).toContain('blocklist_v4');
    expect(stdout).toContain('bpf_map_lookup_elem');
  });
});

describe('run', () => {
  it('runs one packet on both engines', () => {
    const object = assembled();
    writeFileSync(join(scratch, 'packet.bin'), new Uint8Array(60));
    const { status, document } = json([
      'run',
      `${object}:drop_short`,
      '--data-in',
      'packet.bin',
      '--data-out',
      'out.bin',
      '--engine',
      'jit,interpreter',
    ]);
    expect(status).toBe(0);
    expect(document).toMatchObject({
      agreed: true,
      results: [
        { engine: 'jit', verdict: 'XDP_PASS', r0: '2' },
        { engine: 'interpreter', returnValue: 2 },
      ],
    });
    expect(readFileSync(join(scratch, 'out.bin')).length).toBe(60);
    writeFileSync(join(scratch, 'tiny.bin'), new Uint8Array(3));
    const refused = sluice(['run', object, '--data-in', 'tiny.bin']);
    expect(refused).toMatchObject({ status: 3 });
    expect(refused.stderr).toContain('EINVAL');
  });

  it('runs a capture and writes what was not dropped', () => {
    expect(sluice(['gen', 'capture', '--count', '300', '--seed', '7', '-o', 'in.pcap']).status).toBe(0);
    const { status, document } = json([
      'run',
      firewall,
      '--pcap',
      'in.pcap',
      '--out',
      'out.pcapng',
      '--maps',
      join(root, 'bpf/examples/firewall.maps.json'),
      '--engine',
      'jit,interpreter',
    ]);
    expect(status).toBe(0);
    const verdicts = document['verdicts'] as Record<string, number>;
    expect(document).toMatchObject({ packets: 300, agreed: true });
    expect(Object.values(verdicts).reduce((a, b) => a + b)).toBe(300);
    expect(verdicts['XDP_DROP']).toBeGreaterThan(10);
    const kept = json(['run', firewall, '--pcap', 'out.pcapng']);
    expect(kept.document['packets']).toBe(300 - verdicts['XDP_DROP']!);
  });

  it('counts the packets before the place where a capture is cut', () => {
    const whole = readFileSync(join(scratch, 'in.pcap'));
    writeFileSync(join(scratch, 'cut.pcap'), whole.subarray(0, whole.length - 1));
    const { status, document } = json(['run', firewall, '--pcap', 'cut.pcap']);
    expect(status).toBe(3);
    expect(document).toMatchObject({ packets: 299, captureFault: expect.stringContaining('cut.pcap') });
  });

  it('says what is wrong with map contents', () => {
    writeFileSync(join(scratch, 'maps.json'), '{"blocklist_v4": [[{"prefix_length": 24, "adress": 1}, {}]]}');
    const { status, stderr } = sluice(['run', firewall, '--pcap', 'in.pcap', '--maps', 'maps.json']);
    expect(status).toBe(3);
    expect(stderr).toContain('adress');
  });
});

describe('plugin', () => {
  it('speaks the protocol of bpf_conformance', () => {
    // r0 = *(u8 *)(r1 + 1); exit
    const code = '71 10 01 00 00 00 00 00 95 00 00 00 00 00 00 00';
    for (const engine of ['jit', 'interpreter']) {
      expect(sluice(['plugin', '0aff', '--engine', engine], code)).toMatchObject({ status: 0, stdout: 'ff\n' });
    }
    const bad = sluice(['plugin'], 'ff 00 00 00 00 00 00 00');
    expect(bad.status).not.toBe(0);
    expect(bad.stderr).toContain('unknown opcode ff');
  });
});

describe('test --conformance', () => {
  it('counts in the form that scripts read', () => {
    for (const engine of ['jit', 'interpreter']) {
      const { status, document } = json(['test', '--conformance', join(root, 'test/conformance'), '--engine', engine]);
      expect({ status, ...document, skipped: 0 }).toEqual({
        status: 0,
        passed: document['passed'],
        failed: 0,
        skipped: 0,
      });
      expect(document['passed']).toBeGreaterThan(200);
    }
  });
});

const refusal = bpfRefusal();
const largeSource = `${prelude}
static u64 (*bpf_ktime_get_ns)(void) = (void *)5;
struct { __uint(type, 2); __uint(max_entries, 100000); __uint(key_size, 4); __uint(value_size, 8); } many SEC(".maps");
struct { __uint(type, 2); __uint(max_entries, 1); __uint(key_size, 4); __uint(value_size, 8); __uint(pinning, 1); }
	sluice_diff_pinned SEC(".maps");
extern int LINUX_KERNEL_VERSION __kconfig;
static __attribute__((always_inline)) void add(void *map, u32 key, u64 by)
{
	u64 *value = bpf_map_lookup_elem(map, &key);
	if (value) *value += by;
}
SEC("xdp") int large(void *ctx)
{
	add(&many, 70000, 1);
	add(&sluice_diff_pinned, 0, 1);
	return LINUX_KERNEL_VERSION > 0x50000 ? 2 : 1;
}
SEC("xdp") int reads_clock(void *ctx)
{
	add(&sluice_diff_pinned, 0, bpf_ktime_get_ns());
	return 2;
}
char _license[] SEC("license") = "GPL";
`;

describe.skipIf(refusal !== undefined)(`diff linux${refusal === undefined ? '' : ` (${refusal})`}`, () => {
  it('agrees on the objects of bpf/', () => {
    const { status, document } = json([
      'diff',
      'linux',
      firewall,
      parser,
      '--inputs',
      '200',
      '--engine',
      'jit,interpreter',
    ]);
    expect(status).toBe(0);
    expect(document).toMatchObject({
      schema: 'sluice.diff/1',
      agree: 9,
      stricter: 0,
      laxer: 0,
      unsupported: 0,
      diverged: 0,
    });
  });

  it('compares verdicts alone where the kernel has no test run', () => {
    const source = join(scratch, 'events.s');
    const object = join(scratch, 'events.o');
    writeFileSync(source, 'events:\n r0 = 1\n exit\n');
    expect(sluice(['asm', source, '-o', object, '--section', 'sockops']).status).toBe(0);
    const { status, document } = json(['diff', 'linux', object]);
    expect(status).toBe(0);
    expect(document).toMatchObject({
      agree: 1,
      diverged: 0,
      programs: [{ runs: 0, reason: expect.stringContaining('no test run for programs of type sock_ops') }],
    });
  });

  it.skipIf(clangs.length === 0)(
    'maps are new, however they are pinned; large arrays and the version of the kernel agree',
    () => {
      const object = join(scratch, 'large.o');
      writeFileSync(object, compileBpf(largeSource));
      for (let round = 0; round < 2; round++) {
        const { status, document } = json(['diff', 'linux', `${object}:large`, '--inputs', '10']);
        expect(document).toMatchObject({ agree: 1, diverged: 0 });
        // One of 100,000 elements, the pinned one, and .kconfig.
        expect(document).toMatchObject({ programs: [{ runs: 10, agreed: 10, mapEntries: 3 }] });
        expect(status).toBe(0);
      }
      expect(existsSync('/sys/fs/bpf/sluice_diff_pinned')).toBe(false);
    },
  );

  it.skipIf(clangs.length === 0)('says which results each side has of its own', () => {
    const object = join(scratch, 'large.o');
    writeFileSync(object, compileBpf(largeSource));
    const { status, document } = json(['diff', 'linux', `${object}:reads_clock`, '--inputs', '2']);
    expect(status).toBe(1);
    expect(document).toMatchObject({
      diverged: 1,
      programs: [{ reason: 'each side has its own results of bpf_ktime_get_ns' }],
    });
  });

  it('takes no addresses of the kernel in fields that it manages for a difference', () => {
    const object = join(root, 'bpf/objects/mem/operations.bpf.o');
    const { status, document } = json(['diff', 'linux', object, '--inputs', '20']);
    expect(status).toBe(0);
    expect(document).toMatchObject({ agree: 1, diverged: 0, programs: [{ runs: 20, agreed: 20, mapEntries: 2 }] });
  });

  it('a program that both refuse is agreed on, and not run', () => {
    writeFileSync(join(scratch, 'blind.s'), 'blind:\n r2 = *(u32 *)(r1 + 0x0)\n r0 = *(u8 *)(r2 + 0x0)\n exit\n');
    sluice(['asm', 'blind.s', '-o', 'blind.o']);
    const { status, document } = json(['diff', 'linux', join(scratch, 'blind.o'), '--inputs', '10']);
    expect(status).toBe(0);
    expect(document).toMatchObject({ agree: 1, programs: [{ here: 'reject', linux: 'reject', runs: 0 }] });
    expect(sluice(['verify', join(scratch, 'blind.o')]).stdout).toContain('invalid access to packet, off=0 size=1');
  });
});
