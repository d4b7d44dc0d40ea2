/** Which types of objects Linux refuses to load: our rules of special fields beside BPF_BTF_LOAD. */
import { describe, expect, it } from 'vitest';
import { structsProblem } from '../src/btf/field-rules.ts';
import { structFields } from '../src/btf/special-fields.ts';
import { loadBtf } from '../src/linux/bpf.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { close } from '../src/linux/ffi.ts';
import { SyscallError } from '../src/linux/syscall-error.ts';
import { readObject } from '../src/object/index.ts';
import { compileBpf, noClang } from './clang.ts';

const prelude = `
typedef unsigned int u32; typedef unsigned long long u64;
#define __kptr __attribute__((btf_type_tag("kptr")))
#define __percpu_kptr __attribute__((btf_type_tag("percpu_kptr")))
#define __contains(text) __attribute__((btf_decl_tag("contains:" text)))
struct bpf_spin_lock { u32 val; };
struct bpf_refcount { u32 __opaque[1]; } __attribute__((aligned(4)));
struct bpf_list_head { u64 __opaque[2]; } __attribute__((aligned(8)));
struct bpf_list_node { u64 __opaque[3]; } __attribute__((aligned(8)));
struct bpf_rb_root { u64 __opaque[2]; } __attribute__((aligned(8)));
struct bpf_rb_node { u64 __opaque[4]; } __attribute__((aligned(8)));
`;

/** `struct s1` owns `struct s2` and so on, `length` of them; the last one has a node alone. */
function chain(length: number): string {
  let text = `struct s${length} { struct bpf_list_node n; };\n`;
  for (let i = length - 1; i >= 1; i--)
    text += `struct s${i} { struct bpf_list_node n; struct bpf_spin_lock l; struct bpf_list_head h __contains("s${i + 1}:n"); };\n`;
  return text + Array.from({ length }, (_, i) => `struct s${i + 1} *use${i + 1};`).join('');
}

const cases: readonly (readonly [name: string, source: string, errno: string])[] = [
  [
    'one list',
    'struct a { struct bpf_list_node n; }; struct b { struct bpf_spin_lock l; struct bpf_list_head h __contains("a:n"); }; struct b *u; struct a *w;',
    '',
  ],
  ['a root without a tag', 'struct b { struct bpf_spin_lock l; struct bpf_list_head h; }; struct b *u;', 'EINVAL'],
  [
    'a tag without a member',
    'struct b { struct bpf_spin_lock l; struct bpf_list_head h __contains("a"); }; struct b *u;',
    'EINVAL',
  ],
  [
    'a struct that is not there',
    'struct b { struct bpf_spin_lock l; struct bpf_list_head h __contains("a:n"); }; struct b *u;',
    'ENOENT',
  ],
  [
    'a member that is not there',
    'struct a { struct bpf_list_node n; }; struct b { struct bpf_spin_lock l; struct bpf_list_head h __contains("a:m"); }; struct b *u; struct a *w;',
    'ENOENT',
  ],
  [
    'a member of another type',
    'struct a { struct bpf_rb_node n; }; struct b { struct bpf_spin_lock l; struct bpf_list_head h __contains("a:n"); }; struct b *u; struct a *w;',
    'EINVAL',
  ],
  [
    'a root without a lock',
    'struct a { struct bpf_list_node n; }; struct b { struct bpf_list_head h __contains("a:n"); }; struct b *u; struct a *w;',
    'EINVAL',
  ],
  ['two locks', 'struct b { struct bpf_spin_lock l; struct bpf_spin_lock m; }; struct b *u;', 'E2BIG'],
  ['both nodes', 'struct b { struct bpf_list_node l; struct bpf_rb_node m; }; struct b *u;', 'EINVAL'],
  [
    'both nodes and a count',
    'struct b { struct bpf_list_node l; struct bpf_rb_node m; struct bpf_refcount r; }; struct b *u;',
    '',
  ],
  [
    'eleven nodes',
    `struct b { ${Array.from({ length: 11 }, (_, i) => `struct bpf_list_node n${i};`).join(' ')} }; struct b *u;`,
    '',
  ],
  [
    'twelve nodes',
    `struct b { ${Array.from({ length: 12 }, (_, i) => `struct bpf_list_node n${i};`).join(' ')} }; struct b *u;`,
    'E2BIG',
  ],
  [
    'a list of its own',
    'struct a { struct bpf_list_node n; struct bpf_spin_lock l; struct bpf_list_head h __contains("a:n"); }; struct a *w;',
    'ELOOP',
  ],
  [
    'two that own each other',
    'struct b; struct a { struct bpf_list_node n; struct bpf_spin_lock l; struct bpf_list_head h __contains("b:n"); }; struct b { struct bpf_list_node n; struct bpf_spin_lock l; struct bpf_list_head h __contains("a:n"); }; struct a *w; struct b *v;',
    'ELOOP',
  ],
  [
    'no rules inside of another struct',
    'struct in { struct bpf_list_head h; }; struct b { struct in i[2]; u64 x; }; struct b *u;',
    'EINVAL',
  ],
];

/**
 * Where kernels differ: newer ones (and 6.12.y) count who owns whom, up to eight in a row, kptrs included; others refuse lists of those that own lists, and
 * nothing else. Ours is the newer rule.
 */
const differing: readonly (readonly [name: string, source: string, ours: string, others: string])[] = [
  ['two lists in a row', chain(2), '', ''],
  ['three lists in a row', chain(3), '', 'ELOOP'],
  ['eight lists in a row', chain(8), '', 'ELOOP'],
  ['nine lists in a row', chain(9), 'ELOOP', 'ELOOP'],
  ['a kptr to its own type', 'struct a { struct a __kptr *p; }; struct a *w;', 'ELOOP', ''],
  [
    'a list of those that point back',
    'struct b; struct a { struct bpf_list_node n; struct b __kptr *p; }; struct b { struct bpf_spin_lock l; struct bpf_list_head h __contains("a:n"); }; struct a *w; struct b *v;',
    'ELOOP',
    '',
  ],
  // Linux 6.18 takes the last one, with a warning in its log.
  ['two counts', 'struct b { struct bpf_refcount l; struct bpf_refcount m; }; struct b *u;', 'E2BIG', ''],
];

const refusal = bpfRefusal();
const read = (source: string) => {
  const spec = readObject(
    compileBpf(
      `${prelude}${source}\nint prog(void *ctx) __attribute__((section("xdp"))); int prog(void *ctx) { return 2; }\nchar _license[] __attribute__((section("license"))) = "GPL";`,
      {},
    ),
    'types.o',
  );
  return spec.btf!;
};
const ours = (source: string) => {
  const btf = read(source);
  return structsProblem(btf, (struct) => structFields(btf, struct))?.errno ?? '';
};
const linux = (source: string) => {
  try {
    close(loadBtf(read(source).bytes));
    return '';
  } catch (error) {
    if (error instanceof SyscallError) return error.errno;
    throw error;
  }
};

describe.skipIf(noClang !== '')(`types of objects${noClang}`, () => {
  const all = [...cases, ...differing].map(([name, source, errno]) => [name, source, errno] as const);
  it.each(all)('%s', (_name, source, errno) => expect(ours(source)).toBe(errno));
  const there = refusal === undefined ? '' : ` (skipped: ${refusal})`;
  it.skipIf(refusal !== undefined).each(cases)(`%s: as in the kernel${there}`, (_name, source, errno) =>
    expect(linux(source)).toBe(errno),
  );
  it.skipIf(refusal !== undefined).each(differing.filter(([name]) => name !== 'two counts'))(
    `%s: as in one of the kernels${there}`,
    (_name, source, ...answers) => expect(answers).toContain(linux(source)),
  );
});
