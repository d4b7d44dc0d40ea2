// `npm start`: installs and builds what is missing, then runs the main job on real input: the eBPF objects of bpf/ over a packet
// capture, in user space (JIT and interpreter) and, where bpf(2) allows, in the Linux kernel, and a file through the ring, by the kernel's
// io_uring and again in simulation; shows what agreed.
// Usage: npm start [-- CAPTURE.pcap]
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(`Sluice needs Node 20.19 or newer; this is ${process.version}\n`);
  process.exit(4);
}

function run(command, args, { quiet = false } = {}) {
  const stdio = quiet ? ['ignore', 'ignore', 'inherit'] : 'inherit';
  return spawnSync(command, args, { cwd: root, stdio, shell: process.platform === 'win32' }).status ?? 1;
}

function must(what, status) {
  if (status === 0) return;
  process.stderr.write(`start: ${what} failed\n`);
  process.exit(status);
}

const installed = join(root, 'node_modules', '.package-lock.json');
if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(join(root, 'package-lock.json')).mtimeMs) {
  process.stderr.write('start: installing packages\n');
  must('npm ci', run('npm', ['ci', '--no-audit', '--no-fund'], { quiet: true }));
}
must('build', run(process.execPath, ['scripts/build.mjs']));

const sluice = (...args) => run(process.execPath, ['bin/sluice.js', ...args]);
const kernel = run(process.execPath, ['bin/sluice.js', 'features', '--require', 'bpf'], { quiet: true }) === 0;

let capture = process.argv[2] === undefined ? undefined : resolve(process.cwd(), process.argv[2]);
if (capture === undefined) {
  capture = join('.cache', 'start.pcap');
  mkdirSync(join(root, '.cache'), { recursive: true });
  process.stdout.write('\n# A capture to run on: 10,000 packets from the seeded generator\n');
  must('gen capture', sluice('gen', 'capture', '--count', '10000', '--seed', '1', '-o', capture));
}

const target = kernel ? 'user,linux' : 'user';
if (!kernel)
  process.stderr.write('\nstart: bpf(2) is not to be had here (root on Linux has it), so the kernel is left out\n');

process.stdout.write(
  '\n# Firewall: LPM blocklist, per-rule counters, events; TTL and VLAN rewriting. JIT, interpreter' +
    (kernel ? ', Linux kernel\n' : '\n'),
);
let worst = sluice(
  'run',
  'bpf/objects/xdp_firewall.bpf.o:xdp_firewall',
  '--maps',
  'bpf/examples/firewall.maps.json',
  '--pcap',
  capture,
  '--out',
  '.cache/passed.pcapng',
  '--show',
  '8',
  '--target',
  target,
  '--engine',
  'jit,interpreter',
);

process.stdout.write('\n# Parser: tail calls from Ethernet to TCP, UDP, ICMP' + '\n');
worst = Math.max(
  worst,
  sluice(
    'run',
    'bpf/objects/xdp_parser.bpf.o:xdp_parser',
    '--pcap',
    capture,
    '--target',
    target,
    '--engine',
    'jit,interpreter',
  ),
);

if (kernel) {
  process.stdout.write('\n# Every program of both objects against the kernel\n');
  worst = Math.max(
    worst,
    sluice('diff', 'linux', '--maps', 'bpf/examples/firewall.maps.json', 'bpf/objects/xdp_firewall.bpf.o'),
  );
  worst = Math.max(worst, sluice('diff', 'linux', 'bpf/objects/xdp_parser.bpf.o'));
}

if (run(process.execPath, ['bin/sluice.js', 'ring', 'features', '--require', 'read'], { quiet: true }) === 0) {
  process.stdout.write("\n# A file through the ring: a verified program copies it on io_uring's completions\n");
  const record = join('.cache', 'start.record');
  const [copy, again] = [join('.cache', 'start.copy'), join('.cache', 'start.again')];
  worst = Math.max(worst, sluice('ring', 'cp', '--record', record, capture, copy));
  process.stdout.write('# The same program over a simulated kernel that serves the recorded answers\n');
  worst = Math.max(worst, sluice('ring', 'cp', '--replay', record, capture, again));
  const equal = readFileSync(resolve(root, capture)).equals(readFileSync(join(root, copy)));
  process.stdout.write(`${copy} ${equal ? 'is' : 'IS NOT'} the same as ${capture}\n`);
  if (!equal) worst = Math.max(worst, 1);
} else
  process.stderr.write(
    '\nstart: io_uring is not to be had here (Linux 5.11 or newer has it), so the ring is left out\n',
  );
process.exit(worst);
