import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { load } from '../index.ts';
import { readObject } from '../object/index.ts';
import { mapLayout } from '../object/map-layout.ts';
import type { ObjectLayout } from './object-layout.ts';
import { printShape, shapeName } from './print-shape.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const bytes = readFileSync(`${root}bpf/objects/xdp_firewall.bpf.o`);
const object = readObject(bytes, 'xdp_firewall.bpf.o');

/** Messages of the compiler for `use` behind the module. */
function compile(module: string, use: string): string[] {
  const file = `${root}src/shape-under-test.ts`;
  const options: ts.CompilerOptions = {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    target: ts.ScriptTarget.ES2023,
    lib: ['lib.es2023.d.ts'],
    types: ['node'],
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    allowImportingTsExtensions: true,
    paths: { sluice: [`${root}src/index.ts`] },
  };
  const host = ts.createCompilerHost(options);
  const read = host.getSourceFile.bind(host);
  host.getSourceFile = (name, target) =>
    name === file ? ts.createSourceFile(name, `${module}\n${use}`, target) : read(name, target);
  const program = ts.createProgram([file], options, host);
  return program
    .getSemanticDiagnostics(program.getSourceFile(file))
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
}

describe('the module of an object', () => {
  it('is the same for the same object and names it by its file', () => {
    expect(printShape(object, 'XdpFirewall')).toBe(printShape(readObject(bytes, 'xdp_firewall.bpf.o'), 'XdpFirewall'));
    expect(shapeName('xdp_firewall.bpf.o')).toBe('XdpFirewall');
    expect(shapeName('4in6.o')).toBe('Object4in6');
  });

  it('types handles: right uses compile, wrong ones do not', () => {
    const messages = compile(
      printShape(object, 'Firewall'),
      `import { load } from 'sluice';
      const firewall = await load(new Uint8Array(), { layout });
      const rule: number | undefined = firewall.maps.blocklist_v4.get({ prefix_length: 8, address: new Uint8Array(4) })?.rule;
      const packets: bigint = firewall.maps.rule_counters.get(16)![0]!.packets;
      firewall.maps['.data'].set(0, { switches: { blocking: false, pop_vlan: true } });
      firewall.programs.xdp_firewall.run({ data: new Uint8Array(60) }).returnValue.toFixed();
      (await load<Firewall>(new Uint8Array(), { target: 'linux' })).maps.events.consume((record) => record.length);
      (await load(new Uint8Array())).maps['anything']?.get(1);
      firewall.maps.blocklist_v4.get({ prefix: 8 });
      firewall.maps.missing;
      firewall.programs.other;
      firewall.maps.flows.set({} as flow_key, { packets: 1, bytes: 2n });`,
    );
    expect(messages).toEqual([
      expect.stringContaining("'prefix' does not exist in type 'lpm_v4_key'"),
      expect.stringContaining("Property 'missing' does not exist"),
      expect.stringContaining("Property 'other' does not exist"),
      expect.stringContaining("Type 'number' is not assignable to type 'bigint'"),
    ]);
  });

  it('types the events of a ring whose declaration names their type, in consume too', () => {
    const events = { ...object.maps.get('events')!, valueTypeId: object.maps.get('flows')!.valueTypeId };
    const typed = { ...object, maps: new Map(object.maps).set('events', events) };
    const messages = compile(
      printShape(typed, 'Firewall'),
      `import { load } from 'sluice';
      const { maps } = await load(new Uint8Array(), { layout });
      maps.events.consume((event, record) => [event.packets + 1n, record.length]);
      maps.events.consume((event) => event.missing);`,
    );
    expect(messages).toEqual([expect.stringContaining("Property 'missing' does not exist")]);
  });

  it('keeps names of the object from ending its comments and strings', () => {
    const hostile = { ...object, name: "*/ evil(); '.o\n" };
    expect(printShape(hostile, 'X')).not.toContain('*/ evil');
    expect(printShape(hostile, 'X').split('\n')[0]).toContain("* / evil(); '.o?");
  });
});

describe('the layout', () => {
  const layout: ObjectLayout = {
    programs: { xdp_firewall: 'xdp' },
    maps: Object.fromEntries([...object.maps.values()].map((map) => [map.name, mapLayout(object, map)])),
  };

  it('is what load compares: equal objects load', async () => {
    const loaded = await load(bytes, { layout });
    expect(loaded.programs).toHaveProperty('xdp_firewall');
    loaded.close();
  });

  it('refuses an object that differs, with every difference', async () => {
    const flows = layout.maps['flows']!;
    const changed = {
      programs: { xdp_firewall: 'sched_cls', gone: 'xdp' },
      maps: { ...layout.maps, flows: { ...flows, value: '{packets@8:u64,bytes@0:u64}16' }, other: flows },
    };
    await expect(load(bytes, { layout: changed, name: 'fw.o' })).rejects.toMatchObject({
      code: 'SLUICE_LAYOUT',
      message: [
        'fw.o: differs from the generated types:',
        'program xdp_firewall: expected type sched_cls, found xdp',
        'program gone: expected type xdp, found none',
        'map flows: expected value {packets@8:u64,bytes@0:u64}16, found {packets@0:u64,bytes@8:u64}16',
        'map other: is missing\nif the object is the right one, make them again: sluice gen types',
      ].join('\n  '),
    });
  });
});
