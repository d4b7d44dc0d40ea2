/** Hints, devices and formats of metadata on the command line. Runs the built command. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';
import { readCapture, writePcap } from '../src/net/capture.ts';
import { ethernet } from '../src/net/ethernet.ts';
import { ipv4 } from '../src/net/ipv4.ts';
import { packet } from '../src/net/packet.ts';
import { udp } from '../src/net/udp.ts';
import { vlan } from '../src/net/vlan.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'sluice-hints-'));
afterAll(() => rmSync(scratch, { recursive: true }));
const objects = join(root, 'bpf/objects/metadata');
const file = (name: string) => join(scratch, name);

function sluice(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'bin/sluice.js'), ...args], {
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1' },
  });
  return { status, stdout, stderr };
}

/** What read_known of rx_meta.bpf.c leaves in a packet. */
function known(data: Uint8Array) {
  const view = new DataView(data.buffer, data.byteOffset);
  return {
    hash: view.getUint32(16, true),
    type: view.getUint32(20, true),
    vlan: [view.getUint16(24), view.getUint16(26, true)],
    time: view.getBigUint64(28, true),
    results: [36, 40, 44].map((at) => view.getInt32(at, true)),
  };
}

it('gives a packet hints, says what was stored, and records both', () => {
  writeFileSync(file('packet'), new Uint8Array(64));
  const { status, stdout } = sluice(
    ...['run', `${objects}/rx_meta.bpf.o:store_and_read`, '--data-in', file('packet'), '--data-out', file('after')],
    ...['--hints', 'hash=0x10,type=ipv6+udp,vlan=5', '--record', file('record')],
  );
  expect({ status, stdout: stdout.split('\n')[1] }).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(/XDP_PASS/) as string,
  });
  expect(known(readFileSync(file('after')))).toEqual({
    hash: 0x10,
    type: 0x2a,
    vlan: [0x8100, 5],
    time: 0n,
    results: [0, 0, -61],
  });
  expect(sluice('replay', file('record'), '--engine', 'interpreter').status).toBe(0);
});

it('sends captures through devices, in both engines', () => {
  const data = packet(
    ethernet(),
    vlan({ id: 7 }),
    ipv4({ src: '66.9.149.187', dst: '161.142.100.80' }),
    udp({ srcPort: 2794, dstPort: 1766 }),
    new Uint8Array(40),
  );
  const packets = [0, 1].map((i) => ({
    data,
    timestampNs: 1_700_000_000_000_000_000n + BigInt(i) * 1000n,
    wireLength: data.length,
    interfaceId: 0,
    linkType: 1,
  }));
  writeFileSync(file('in.pcap'), writePcap(packets));
  const through = (...device: string[]) => {
    const { status, stderr } = sluice(
      ...['run', `${objects}/rx_meta.bpf.o:read_known`, '--pcap', file('in.pcap'), '--out', file('out.pcap')],
      ...['--engine', 'jit,interpreter', ...device],
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    return [...readCapture(readFileSync(file('out.pcap')))].map((each) => ({
      length: each.data.length,
      ...known(each.data),
    }));
  };
  const [first, second] = through();
  expect(first).toMatchObject({ length: data.length, results: [-61, -61, 0], time: packets[0]!.timestampNs });
  expect(second).toMatchObject({ time: packets[1]!.timestampNs });
  expect(through('--device', 'none')[0]).toMatchObject({ results: [-95, -95, -95] });
  expect(through('--device', 'nic-strip-vlan')[1]).toMatchObject({
    length: data.length - 4,
    hash: 0x51ccc178,
    type: 0x29,
    vlan: [0x8100, 7],
    results: [0, 0, 0],
  });
  writeFileSync(file('hints.json'), JSON.stringify([{ hash: 1 }, { hash: 2 }]));
  expect(through('--hints', file('hints.json')).map(({ hash }) => hash)).toEqual([1, 2]);
}, 60_000);

it('says what does not go', () => {
  writeFileSync(file('packet'), new Uint8Array(64));
  const run = (...args: string[]) =>
    sluice('run', `${objects}/rx_meta.bpf.o:read_known`, '--data-in', file('packet'), ...args);
  expect(run('--hints', 'hash=x')).toMatchObject({
    status: 3,
    stderr: expect.stringMatching(/hash must be/) as string,
  });
  expect(run('--device', 'nic').stderr).toMatch(/--device takes --pcap/);
  expect(run('--metadata', '0-4-9').stderr).toMatch(/must be out of 2-4-8, 0-4-8/);
  const { stdout } = sluice(
    ...['run', `${objects}/packet_id.bpf.o:give_id`, '--data-in', file('packet'), '--metadata', '0-4-8:meta'],
  );
  // Header and value lie before the packet.
  expect(stdout).toMatch(/XDP_PASS \(2\) +\S+ +84/);
}, 60_000);
