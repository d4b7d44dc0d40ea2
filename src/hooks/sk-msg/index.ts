/** hooks/sk-msg: messages before a socket of a sockmap sends them. `data` is the message. sk_psock_msg_verdict, net/core/skmsg.c; Linux has no test run. */
import { skMsg } from '../../abi/programs/sk-msg.ts';
import { CONTEXT_APPLY, CONTEXT_CORK, CONTEXT_MESSAGE, CONTEXT_MESSAGE_END } from '../../plane/layout/context.ts';
import { contextHook } from '../context/hook.ts';
import { redirectedTo } from '../context/redirect.ts';
import { invalid } from '../input.ts';

/** struct sk_msg_md. */
const FIELD = { data: 0, dataEnd: 8, family: 16, size: 68, sk: 72 };

export const skMsgHook = contextHook({
  declaration: skMsg,
  data: 'message',
  prepare(frame, input) {
    if (input.data === undefined) throw invalid('a program of type sk_msg takes a message');
    frame.socket(input, { family: frame.u32(FIELD.family) }, FIELD.sk);
    const at = frame.data(input.data, { start: FIELD.data, end: FIELD.dataEnd });
    frame.u32(FIELD.size, input.data.length);
    frame.u32(CONTEXT_MESSAGE, at);
    frame.u32(CONTEXT_MESSAGE_END, at + input.data.length);
  },
  result(frame, r0) {
    return {
      data: frame.read(frame.u32(CONTEXT_MESSAGE), frame.u32(CONTEXT_MESSAGE_END)),
      message: { apply: frame.u32(CONTEXT_APPLY), cork: frame.u32(CONTEXT_CORK) },
      ...redirectedTo(frame.runtime, r0),
    };
  },
});
