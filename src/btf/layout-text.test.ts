import { describe, expect, it } from 'vitest';
import { clangs, compileBpf, noClang } from '../../test/clang.ts';
import { readObject } from '../object/index.ts';
import { layoutText } from './layout-text.ts';

const source = `
struct inner { unsigned char a; unsigned long long b; };
struct outer { unsigned int x; struct inner in[2]; union { int i; _Bool f; }; unsigned int low : 3, high : 5; const char *p; };
struct outer root; int prog(void *ctx) { return root.x; }`;

describe.skipIf(clangs.length === 0)(`layout texts${noClang}`, () => {
  const textOf = (code: string) => {
    const btf = readObject(compileBpf(code), 'layout.o').btf!;
    return layoutText(btf, btf.find('outer', 'struct')!);
  };

  it('have every size, offset and name of members', () => {
    expect(textOf(source)).toBe(
      '{x@0:u32,in@8:{a@0:u8,b@8:u64}16[2],@40:{i@0:s32,f@0:bool}4,low@352/3:u32,high@355/5:u32,p@48:ptr}56',
    );
  });

  it('differ with an offset, a width, a sign or a name, not with the name of a type', () => {
    const text = textOf(source);
    for (const [from, to] of [
      ['unsigned int x', 'unsigned int y'],
      ['unsigned int x', 'int x'],
      ['unsigned char a', 'unsigned short a'],
      ['high : 5', 'high : 6'],
    ] as const)
      expect(
        textOf(
          source.replace(from, to).replace('root.y', 'root.x').replace('return root.x', 'return 0 * sizeof(root)'),
        ),
      ).not.toBe(text);
    expect(textOf(source.replaceAll('struct inner', 'struct other'))).toBe(text);
  });
});
