import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readObject } from './index.ts';

const object = (name: string) => readObject(readFileSync(`bpf/objects/mem/${name}.bpf.o`), `${name}.bpf.o`);

describe('allocators of maps', () => {
  const { maps, programs } = object('declared');

  it('are maps of a type of their own', () => {
    expect(maps.get('ma')).toMatchObject({ type: 'allocator', keySize: 0, valueSize: 48, maxEntries: 8 });
    expect(maps.get('ma')!.allocators).toBeUndefined();
  });

  it('are named by an initial value, or made with the map', () => {
    expect(maps.get('hash')!.allocators).toMatchObject({
      elem: { kind: 'implicit', definition: { type: 'allocator', name: 'hash.elem_allocator' } },
      kptr: { kind: 'map', map: 'ma' },
    });
    expect(Object.keys(maps.get('own')!.allocators!)).toEqual(['kptr']);
    expect(maps.get('own')!.allocators!.kptr!.kind).toBe('implicit');
  });

  it('are what an instruction refers to', () => {
    const of = (name: string) =>
      [...programs.get(name)!.references.values()].filter(({ kind }) => kind === 'map-allocator' || kind === 'map');
    expect(of('from_elements')).toEqual([{ kind: 'map-allocator', map: 'hash', part: 'elem' }]);
    expect(of('keep_in_own')).toContainEqual({ kind: 'map-allocator', map: 'own', part: 'kptr' });
    expect(of('keep_in_hash')).toContainEqual({ kind: 'map', map: 'ma' });
  });

  it('can be pinned', () => {
    expect(object('moves').maps.get('ma')).toMatchObject({ type: 'allocator', pinning: 'by-name' });
  });

  it('are refused where they cannot be', () => {
    // The type of `ma` in BTF is the length of an array: with another one `hash` names a map that is no allocator.
    const bytes = readFileSync('bpf/objects/mem/declared.bpf.o');
    const at = bytes.indexOf(Buffer.from('414d4c53', 'hex'));
    expect(at).toBeGreaterThan(0);
    expect(bytes.indexOf(Buffer.from('414d4c53', 'hex'), at + 4)).toBe(-1);
    bytes.writeUInt32LE(2, at);
    expect(() => readObject(bytes, 'x.bpf.o')).toThrow('hash: elem_allocator is a map of type array, not an allocator');
  });
});
