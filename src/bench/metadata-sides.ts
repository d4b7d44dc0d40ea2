/** Who is measured in `bench metadata`: the kfuncs in every format, and three forms in C, here and in the kernel. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { load } from '../index.ts';
import { bpfRefusal } from '../linux/features.ts';
import { readObject } from '../object/index.ts';
import type { LoadedObject } from '../runtime/handles.ts';
import type { UserObject } from '../runtime/load.ts';
import { type TraitLayout, type TraitPlacement, traitLayouts, traitPlacements } from '../runtime/traits.ts';
import type { BenchCase } from './report.ts';

export interface Side {
  readonly name: string;
  readonly object: LoadedObject;
  /** Of our side. */
  readonly user?: UserObject;
  readonly linux: boolean;
  /** What the bytecode does: side of the kernel that it is compared with. */
  readonly form: Form;
}

type Form = 'meta' | 'tlv' | 'static';
const forms: Readonly<Record<Form, string>> = {
  meta: 'C over data_meta',
  tlv: 'C over data_meta, list',
  static: 'C over data_meta, struct',
};

function formOf(layout: TraitLayout): Form {
  return layout === 'tlv' || layout === 'static' ? layout : 'meta';
}

/** Loads bench/PREFIX_kfunc in every format, and the C forms, into `sides`, whose objects are the caller's to close whether this throws or not. */
export async function openSides(sides: Side[], prefix: string, bpf: string): Promise<void> {
  const read = (name: string) => {
    const file = `${prefix}_${name}.bpf.o`;
    return readObject(readFileSync(join(bpf, 'objects', 'bench', file)), file);
  };
  const kfunc = read('kfunc');
  for (const layout of Object.keys(traitLayouts) as TraitLayout[])
    for (const placement of Object.keys(traitPlacements) as TraitPlacement[]) {
      const user = await load(kfunc, { cpus: 1, seed: 1n, metadata: { layout, placement } });
      sides.push({ name: `${layout}, ${placement}`, object: user, user, linux: false, form: formOf(layout) });
    }
  for (const form of Object.keys(forms) as Form[]) {
    const spec = read(form);
    const user = await load(spec, { cpus: 1, seed: 1n });
    sides.push({ name: forms[form], object: user, user, linux: false, form });
    if (bpfRefusal() === undefined)
      sides.push({ name: `linux, ${forms[form]}`, object: await load(spec, { target: 'linux' }), linux: true, form });
  }
}

/** Some case of this operation is one that the filter names. */
export function isWanted(text: string, filter: string | undefined): boolean {
  const formats = Object.keys(traitLayouts).flatMap((layout) =>
    Object.keys(traitPlacements).map((placement) => `${layout}, ${placement}`),
  );
  return (
    filter === undefined || [...formats, ...Object.values(forms)].some((name) => `${text}: ${name}`.includes(filter))
  );
}

/** One case a side of ours, with the kernel's of the same form beside it. */
export function casesOf(
  text: string,
  sides: readonly Side[],
  ns: readonly number[],
  filter: string | undefined,
): BenchCase[] {
  return sides.flatMap(({ name, linux, form }, i) => {
    const title = `${text}: ${name}`;
    if (linux || (filter !== undefined && !title.includes(filter))) return [];
    const peer = sides.findIndex((other) => other.linux && other.form === form);
    return [{ case: title, ours: ns[i]!, peers: peer < 0 ? {} : { 'linux-jit': ns[peer]! } }];
  });
}
