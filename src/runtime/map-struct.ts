/** Programs that read fields of struct bpf_map through a map's address: CO-RE takes them to the fields of our header. */
import { applyCoreRelocations } from '../btf/core.ts';
import { essentialName } from '../btf/names.ts';
import type { Btf } from '../btf/types.ts';
import { BtfBuilder } from '../btf/write.ts';
import type { Insn } from '../isa/insn.ts';
import type { ObjectSpec, ProgramSpec } from '../object/spec.ts';
import {
  MAP_EXTRA,
  MAP_FLAGS,
  MAP_HEADER_SIZE,
  MAP_ID,
  MAP_KEY_SIZE,
  MAP_MAX_ENTRIES,
  MAP_TYPE,
  MAP_VALUE_SIZE,
} from '../plane/layout/map.ts';

/** Fields of struct bpf_map that the header has, u32. */
const fields = {
  key_size: MAP_KEY_SIZE,
  value_size: MAP_VALUE_SIZE,
  max_entries: MAP_MAX_ENTRIES,
  map_flags: MAP_FLAGS,
  id: MAP_ID,
};

export interface MapFieldViews {
  /** For the verifier, which judges by the types of the kernel. */
  judged(kernel: Btf): readonly Insn[];
  /** For user space. Fields that the header lacks are poisoned: a run that comes to them is stopped. */
  readonly here: readonly Insn[];
}

/**
 * The program with the relocations of struct bpf_map, and of structs that begin with one (bpf_array, bpf_arena), applied; undefined if it has
 * none. `insns` have the other relocations applied.
 */
export function mapFieldViews(
  spec: ObjectSpec,
  program: ProgramSpec,
  insns: readonly Insn[],
): MapFieldViews | undefined {
  const { btf } = spec;
  if (btf === undefined) return undefined;
  const coreRelocations = program.coreRelocations.filter(
    ({ kind, typeId }) => kind.startsWith('field_') && beginsWithMap(btf, typeId),
  );
  if (coreRelocations.length === 0) return undefined;
  // As the compiler left them: a relocation checks what it finds.
  const own = insns.slice();
  for (const { slot } of coreRelocations) own[slot] = program.insns[slot]!;
  const relocated = (target: Btf) =>
    applyCoreRelocations({ name: program.name, insns: own, coreRelocations }, btf, target).insns;
  const around = coreRelocations.map(({ typeId }) => nameOf(btf, typeId)).filter((name) => name !== 'bpf_map');
  return { judged: relocated, here: relocated(headerTypes(new Set(around))) };
}

function nameOf(btf: Btf, typeId: number): string {
  return essentialName(btf.resolve(typeId).type?.name ?? '');
}

function beginsWithMap(btf: Btf, typeId: number): boolean {
  const { type } = btf.resolve(typeId);
  if (type?.kind !== 'struct') return false;
  if (essentialName(type.name) === 'bpf_map') return true;
  const first = type.members[0];
  return first !== undefined && first.bitOffset === 0 && beginsWithMap(btf, first.type);
}

/** struct bpf_map as the header lies, and structs of these names around one. */
function headerTypes(around: ReadonlySet<string>): Btf {
  const types = new BtfBuilder();
  const int = (name: string, size: number) =>
    types.add({ kind: 'int', name, size, bits: 8 * size, offset: 0, signed: false, bool: false, char: false });
  const u32 = int('unsigned int', 4);
  const u64 = int('unsigned long long', 8);
  const values = [{ name: 'BPF_MAP_TYPE_UNSPEC', value: 0n }];
  const mapType = types.add({ kind: 'enum', name: 'bpf_map_type', size: 4, signed: false, values });
  const member = (name: string, type: number, offset: number) => ({ name, type, bitOffset: 8 * offset, bitSize: 0 });
  const map = types.add({
    kind: 'struct',
    name: 'bpf_map',
    size: MAP_HEADER_SIZE,
    members: [
      member('map_type', mapType, MAP_TYPE),
      ...Object.entries(fields).map(([name, offset]) => member(name, u32, offset)),
      member('map_extra', u64, MAP_EXTRA),
    ],
  });
  for (const name of around)
    types.add({ kind: 'struct', name, size: MAP_HEADER_SIZE, members: [member('map', map, 0)] });
  return types.build();
}
