/** What went wrong and what to do next. Apart, for most pages never say so; `later.tsx` has it for those that rarely do. */

import type { ComponentChildren } from 'preact'
import type { Failure, FailureKind } from '../api/failure.ts'
import { messages } from '../language/language.ts'
import { hrefTo } from '../route.ts'
import { Icon } from './icon.tsx'

const say = messages(
  {
    retry: 'Try again',
    settings: 'Enter a token',
    away: 'Clew does not answer.',
    awayHint: 'Is it running, and is this machine connected? What you see stays as it is.',
    unauthorized: 'A token is needed.',
    unauthorizedHint:
      'This Clew answers to those with a token for reading. Enter yours in the settings.',
    forbidden: 'This token is not for reading.',
    forbiddenHint: 'It may send spans, but not look at them. Enter one with the scope “read”.',
    not_found: 'There is no such thing here.',
    not_foundHint:
      'It was never received, has expired, or is on its way: spans take some seconds to arrive.',
    invalid: 'This question cannot be answered.',
    invalidHint: (parameter: string) =>
      parameter ? `Change “${parameter}”.` : 'Change it and ask again.',
    too_large: 'The answer is too large to send.',
    too_largeHint: 'Ask for less: a shorter time range, or fewer results.',
    busy: 'Clew is busy.',
    busyHint: (seconds: number) =>
      seconds ? `Ask again in ${seconds} s.` : 'Ask again in a few seconds.',
    broken: 'Something went wrong.',
    brokenHint: 'The log of Clew’s functions says more.',
    file: 'This file is not a trace.',
    fileHint: 'JSON is taken as OTLP, Jaeger and Zipkin write it.',
  },
  {
    retry: '重试',
    settings: '输入令牌',
    away: 'Clew 没有响应。',
    awayHint: '它在运行吗？本机网络正常吗？当前显示的内容会保留。',
    unauthorized: '需要令牌。',
    unauthorizedHint: '此 Clew 只回答持有读取令牌的请求。请在设置中输入令牌。',
    forbidden: '此令牌没有读取权限。',
    forbiddenHint: '它可以发送 span，但不能查看。请输入具有 “read” 权限的令牌。',
    not_found: '这里没有该内容。',
    not_foundHint: '可能从未收到、已过期，或仍在途中：span 需要几秒钟才能到达。',
    invalid: '无法回答这个查询。',
    invalidHint: (parameter: string) => (parameter ? `请修改 “${parameter}”。` : '请修改后重试。'),
    too_large: '结果过大，无法发送。',
    too_largeHint: '请缩小查询：更短的时间范围或更少的结果。',
    busy: 'Clew 正忙。',
    busyHint: (seconds: number) => (seconds ? `请在 ${seconds} 秒后重试。` : '请几秒后重试。'),
    broken: '出错了。',
    brokenHint: 'Clew 函数的日志中有更多信息。',
    file: '此文件不是 trace。',
    fileHint: '支持 OTLP、Jaeger 和 Zipkin 的 JSON。',
  },
)

/** What went wrong, in the reader's language; the server's own words below. */
export function Failed({
  failure,
  again,
  title,
  children,
}: {
  failure: Failure
  again?: (() => void) | undefined
  title?: string
  children?: ComponentChildren
}) {
  const needsToken = failure.kind === 'unauthorized' || failure.kind === 'forbidden'
  return (
    <div class="state failed" role="alert">
      <h2>
        <Icon name="error" /> {title ?? titleOf(failure.kind)}
      </h2>
      <p>{hintOf(failure)}</p>
      {failure.message && <p class="quiet mono">{failure.message}</p>}
      <div class="state-actions">
        {again && (
          <button type="button" onClick={again}>
            <Icon name="reload" /> {say().retry}
          </button>
        )}
        {needsToken && (
          <a class="button" href={hrefTo('settings')}>
            {say().settings}
          </a>
        )}
        {children}
      </div>
    </div>
  )
}

export function titleOf(kind: FailureKind): string {
  return say()[kind]
}

function hintOf(failure: Failure): string {
  if (failure.kind === 'invalid') return say().invalidHint(failure.parameter ?? '')
  if (failure.kind === 'busy') return say().busyHint(failure.retryAfterSeconds ?? 0)
  return say()[`${failure.kind}Hint`]
}
