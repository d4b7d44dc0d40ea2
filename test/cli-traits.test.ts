// `sluice traits …`, and the registry file that `run --registry` takes.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { main } from '../src/cli/main.ts';

const folder = mkdtempSync(join(tmpdir(), `sluice-traits-${process.pid}-`));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const path = (name: string) => join(folder, name);
const object = 'bpf/objects/metadata/trait_names.bpf.o';

/** In this process: new ones for each of the fifty calls would take most of the time. */
async function sluice(...args: string[]) {
  const out = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  const err = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  const textOf = (calls: readonly (readonly unknown[])[]) => calls.map(([text]) => String(text)).join('');
  try {
    const status = await main(args);
    return { status, stdout: textOf(out.mock.calls), stderr: textOf(err.mock.calls) };
  } finally {
    out.mockRestore();
    err.mockRestore();
  }
}
const json = async (...args: string[]) => JSON.parse((await sluice(...args, '--json')).stdout);

describe('sluice traits', () => {
  const registry = path('net.json');

  it('adds names, one by one and as objects declare them', async () => {
    expect(
      await sluice(
        'traits',
        'add',
        registry,
        'flow_id',
        '--size',
        '4',
        '--policy',
        'EQUAL',
        '--key',
        '9',
        '--owner',
        'router',
      ),
    ).toEqual({
      status: 0,
      stdout: 'flow_id: key 9\n',
      stderr: '',
    });
    expect(await json('traits', 'add', registry, '--object', object)).toEqual({
      schema: 'sluice.traits-add/1',
      registry,
      traits: [
        { name: 'flow_id', key: 9, known: true },
        { name: 'packets', key: 0, known: false },
        { name: 'from_outside', key: 1, known: false },
      ],
    });
    expect(readdirSync(folder)).toEqual(['net.json']);
  });

  it('removes, lists, exports, imports', async () => {
    await sluice('traits', 'add', registry, 'gone', '--size', '16', '--persistent');
    expect((await json('traits', 'remove', registry, 'gone')).removed).toEqual([{ name: 'gone', key: 2, epoch: 1 }]);
    const { epoch, traits, freed, wellKnown } = await json('traits', 'list', registry);
    expect({ epoch, freed }).toEqual({ epoch: 1, freed: [{ key: 2, epoch: 1 }] });
    expect(traits.map(({ key, name }: { key: number; name: string }) => [key, name])).toEqual([
      [0, 'packets'],
      [1, 'from_outside'],
      [9, 'flow_id'],
    ]);
    expect(wellKnown[7]).toMatchObject({ name: 'packet_id', key: String((1n << 63n) + 7n), size: 8 });
    const text = (await sluice('traits', 'list', registry)).stdout;
    expect(text).toMatch(/^9 +flow_id +4 +EQUAL +router$/m);
    expect(text).toMatch(/^2\^63\+5 +mark +4 +- +system /m);
    expect(text).toMatch(/^freed: 2 \(epoch 1\)$/m);
    expect((await sluice('traits', 'export', registry)).stdout).toBe(readFileSync(registry, 'utf8'));
    expect((await sluice('traits', 'export', registry, '--format', 'c')).stdout).toContain(
      '#define TRAIT_KEY_FLOW_ID 9 /* flow_id: 4 bytes, EQUAL */\n',
    );
    expect(await json('traits', 'import', path('other.json'), registry)).toMatchObject({ added: 3, traits: 3 });
    expect(await json('traits', 'import', path('other.json'), registry)).toMatchObject({ added: 0, traits: 3 });
  });

  it.each([
    [['add', registry, 'flow_id', '--size', '8'], 3, 'trait flow_id is registered by router with 4 bytes, not 8'],
    [['add', registry, 'mark', '--size', '4'], 3, "trait mark is the system's"],
    [['add', registry, 'x', '--size', '3'], 3, 'values are 0, 1, 2, 4, 8, 16 bytes long, not 3'],
    [['add', registry, 'x'], 2, '--size is needed'],
    [['add', registry], 2, 'give a name with its --size, or --object OBJ'],
    [['remove', registry, 'x'], 3, 'no trait is named x: ENOENT'],
    [['list', path('none.json')], 3, 'cannot be read'],
    [['decode', 'abc'], 3, 'neither a file nor an even number of hexadecimal digits'],
    [['decode', '00', '--layout', 'static'], 3, 'areas of layout static say nothing by themselves'],
  ])('%j', async (args, status, message) => {
    const before = readFileSync(registry, 'utf8');
    const result = await sluice('traits', ...args);
    expect(result.status).toBe(status);
    expect(result.stderr).toContain(message);
    expect(readFileSync(registry, 'utf8')).toBe(before);
  });

  it('decodes an area', async () => {
    // Layout 0-4-8: key 0 has 8 bytes (both words), key 9 has 4 (high alone).
    const area = '0102000000000000 0100000000000000 0500000000000000 07000000';
    expect(await json('traits', 'decode', area, '--registry', registry)).toEqual({
      schema: 'sluice.traits-decode/1',
      packets: [
        {
          index: 0,
          traits: [
            { key: '0', name: 'packets', value: '0500000000000000', problem: null },
            { key: '9', name: 'flow_id', value: '07000000', problem: null },
          ],
        },
      ],
    });
    writeFileSync(path('area'), Buffer.from(area.replaceAll(' ', ''), 'hex'));
    expect((await sluice('traits', 'decode', path('area'))).stdout).toMatch(/^ +0 +9 +- +4 +07000000 +7$/m);
    expect((await sluice('traits', 'decode', '00'.repeat(16))).stdout).toBe('no traits\n');
  });
});

it('run takes the keys of a registry, and its capture is decoded', async () => {
  const registry = path('run.json');
  await sluice('traits', 'add', registry, 'flow_id', '--size', '4', '--policy', 'EQUAL', '--key', '20');
  writeFileSync(path('packet'), new Uint8Array(60));
  const one = ['run', `${object}:name_flow`, '--data-in', path('packet'), '--registry', registry];
  const { results } = await json(...one, '--engine', 'jit,interpreter');
  for (const result of results)
    expect(result).toMatchObject({
      traits: { 0: '0100000000000000', 20: '07000000' },
      traitNames: { 0: 'packets', 20: 'flow_id' },
      packetId: '1',
    });
  expect((await sluice(...one)).stdout).toMatch(
    /^traits \(jit\): packets=0100000000000000 flow_id=07000000\npacket id \(jit\): 1$/m,
  );
  await sluice('gen', 'capture', '--count', '2', '--out', path('in.pcap'));
  await sluice(
    'run',
    `${object}:name_flow`,
    '--pcap',
    path('in.pcap'),
    '--out',
    path('out.pcapng'),
    '--registry',
    registry,
  );
  const found = (packets: { traits: { key: string; name: string; value: string; problem: string | null }[] }[]) =>
    packets.map(({ traits }) => traits.map(({ key, name, value, problem }) => [key, name, value, problem]));
  const id = String((1n << 63n) + 7n);
  expect(found((await json('traits', 'decode', path('out.pcapng'))).packets)).toEqual(
    ['01', '02'].map((number) => [
      ['0', 'packets', '0100000000000000', null],
      ['20', 'flow_id', '07000000', null],
      [id, 'packet_id', `${number}00000000000000`, null],
    ]),
  );
  expect(found((await json('traits', 'decode', path('out.pcapng'), '--registry', registry)).packets)[0]![0]).toEqual([
    '0',
    'packets',
    '0100000000000000',
    'not registered',
  ]);
  // In another process the names have other keys: the values follow them.
  const counted = await json('run', `${object}:count_flow`, '--pcap', path('out.pcapng'), '--registry', registry);
  expect(counted).not.toHaveProperty('error');
  const again = await sluice(
    'run',
    `${object}:count_flow`,
    '--pcap',
    path('out.pcapng'),
    '--out',
    path('again.pcapng'),
  );
  expect(again.status).toBe(0);
  expect(found((await json('traits', 'decode', path('again.pcapng'))).packets)[0]!.slice(0, 2)).toEqual([
    ['0', 'flow_id', '07000000', null],
    ['1', 'packets', '0100000000000000', null],
  ]);
});

it('a recorded run has its registry with it', async () => {
  const registry = path('recorded.json');
  await sluice('traits', 'add', registry, 'flow_id', '--size', '4', '--policy', 'EQUAL', '--key', '33');
  writeFileSync(path('packet'), new Uint8Array(60));
  const run = ['run', `${object}:name_flow`, '--data-in', path('packet'), '--metadata', '0-4-8:side'];
  expect((await sluice(...run, '--registry', registry, '--record', path('run.rec'))).status).toBe(0);
  rmSync(registry);
  const { surroundings } = JSON.parse(readFileSync(path('run.rec'), 'utf8'));
  expect(surroundings.registry.traits).toMatchObject([{ key: 33, name: 'flow_id' }]);
  expect(surroundings.metadata).toEqual({ layout: '0-4-8', placement: 'side' });
  expect((await sluice('replay', path('run.rec'))).status).toBe(0);
});

it('inspect shows what an object declares', async () => {
  expect((await json('inspect', object)).traits).toEqual([
    { name: 'flow_id', size: 4, policy: 'EQUAL', persistent: false, key: null },
    { name: 'packets', size: 8, policy: 'SUM', persistent: false, key: null },
    { name: 'from_outside', size: 0, policy: 'OR', persistent: false, key: null },
    { name: 'packet_id', size: 8, policy: 'KEEP_FIRST', persistent: false, key: String((1n << 63n) + 7n) },
  ]);
  expect((await sluice('inspect', object)).stdout).toMatch(
    /Traits\n +NAME +BYTES +POLICY +KEY\n +flow_id +4 +EQUAL +of the registry/,
  );
});
