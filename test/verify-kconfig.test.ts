/** The verdict depends on the kernel's options, as the kernel's own does: `.kconfig` is constant when programs are verified. */
import { expect, it } from 'vitest';
import { judge } from '../src/cli/judge.ts';
import { load } from '../src/index.ts';
import { readObject } from '../src/object/index.ts';
import { clangs, compileBpf, noClang, prelude } from './clang.ts';

const program = (comparison: string) => `${prelude}
extern int LINUX_KERNEL_VERSION __kconfig;
SEC("xdp") int chosen(u32 *ctx)
{
	if (LINUX_KERNEL_VERSION ${comparison} 0x30000)
		return ctx[1000]; /* refused where it is reached */
	return 2;
}
char _license[] SEC("license") = "GPL";
`;

it.skipIf(clangs.length === 0 || process.platform !== 'linux')(
  `only the branch of this kernel counts${noClang}`,
  () => {
    for (const [comparison, verdict] of [
      ['<', 'accept'],
      ['>=', 'reject'],
    ] as const) {
      const object = readObject(compileBpf(program(comparison)), 'version.o');
      expect(judge(object, object.programs.get('chosen')!).verdict).toBe(verdict);
    }
  },
);

it.skipIf(clangs.length === 0)(
  `and here that of the kernel that is modelled, or of the options that are given${noClang}`,
  async () => {
    const old = await load(compileBpf(program('<')));
    expect(old.programs['chosen']!.run({ data: new Uint8Array(14) }).returnValue).toBe(2);
    old.close();
    await expect(load(compileBpf(program('>=')))).rejects.toThrow('invalid bpf_context access');
    const byOption = compileBpf(program('<').replaceAll('LINUX_KERNEL_VERSION', 'CONFIG_HZ').replace('0x30000', '500'));
    await expect(load(byOption, { kconfig: { CONFIG_HZ: '250' } })).rejects.toThrow('invalid bpf_context access');
    (await load(byOption, { kconfig: { CONFIG_HZ: '1000' } })).close();
  },
);
