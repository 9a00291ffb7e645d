import { many, messages } from '../../language/language.ts'

export const say = messages(
  {
    lookedFor: 'Looking again every 3 seconds…',
    notLookedFor: 'It did not arrive within half a minute.',
    notStored: 'This trace is not stored (yet).',
    notStoredHint: (days: number) =>
      `Spans take some seconds to arrive, and are kept for ${many(days, 'day')} unless set otherwise.`,
    noTrace: 'Open a trace',
    noTraceHint:
      'Enter its id above, choose one in the search, or drop a file here: JSON of OTLP, Jaeger or Zipkin.',
    chooseFile: 'Choose a file…',
  },
  {
    lookedFor: '每 3 秒重新查找…',
    notLookedFor: '半分钟内未到达。',
    notStored: '此链路（尚）未存储。',
    notStoredHint: (days: number) => `span 需要几秒钟才能到达，默认保留 ${days} 天。`,
    noTrace: '打开链路',
    noTraceHint: '在上方输入 id、在搜索中选择，或将文件拖到此处：OTLP、Jaeger 或 Zipkin 的 JSON。',
    chooseFile: '选择文件…',
  },
)
