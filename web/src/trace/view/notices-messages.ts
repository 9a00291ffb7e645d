import { many, messages } from '../../language/language.ts'

export const say = messages(
  {
    criticalMissing: 'There is no critical path: the trace has several roots.',
    adjust: 'Adjust clocks',
    reload: 'Reload',
    fresh: 'Just now',
    freshHint: 'This trace ended less than a minute ago: more of its spans may be on their way.',
    missingParents: (n: number) => `${n} without parent`,
    missingParentsHint:
      'They name a parent that is not here: it was not received, was not sampled, or is made by something that sends no spans. They are shown as roots and marked ⤴.',
    skewed: (n: number) => `clocks differ (${many(n, 'span')})`,
    skewedHint:
      'These spans lie outside their parent’s time, which no call can: the clocks of two machines differ. They are shown as they were sent.',
    cycles: (n: number) => many(n, 'cycle'),
    cyclesHint: 'Spans that are their own ancestors. Each cycle was cut above one of its spans.',
    roots: (n: number) => many(n, 'root'),
    rootsHint: 'Several spans of this trace have no parent here.',
    duplicates: (n: number) => many(n, 'duplicate id'),
    duplicatesHint: 'Spans that have the same id as an earlier one: all are shown.',
    others: (n: number) => many(n, 'other trace'),
    othersHint: 'The file holds several traces. This is the one with the most spans.',
  },
  {
    criticalMissing: '没有关键路径：此链路有多个根。',
    adjust: '校正时钟',
    reload: '重新加载',
    fresh: '刚刚结束',
    freshHint: '此链路结束不到一分钟，可能还有 span 尚未到达。',
    missingParents: (n: number) => `${n} 个缺少父 span`,
    missingParentsHint:
      '它们的父 span 不在此处：未收到、未被采样，或由不发送 span 的程序产生。这些 span 显示为根，并以 ⤴ 标记。',
    skewed: (n: number) => `时钟不一致（${n} 个 span）`,
    skewedHint:
      '这些 span 超出了父 span 的时间范围，正常调用不会如此：两台机器的时钟不一致。当前按发送的时间显示。',
    cycles: (n: number) => `${n} 个循环`,
    cyclesHint: '这些 span 是自己的祖先。每个循环都已在其中一个 span 之上切断。',
    roots: (n: number) => `${n} 个根`,
    rootsHint: '此链路中有多个 span 没有父 span。',
    duplicates: (n: number) => `${n} 个重复 id`,
    duplicatesHint: '这些 span 与前面的 span id 相同，全部显示。',
    others: (n: number) => `另有 ${n} 条链路`,
    othersHint: '文件中有多条链路，此处显示 span 最多的一条。',
  },
)
