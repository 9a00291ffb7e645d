/** The settings: token, language, theme, time zone, links to elsewhere; what Clew this is. */

import { useState } from 'preact/hooks'
import type { ServicesAnswer } from '../api/answers.ts'
import { type Failure, failureOf } from '../api/failure.ts'
import { question } from '../api/question.ts'
import { server } from '../api/server.ts'
import { isZone, zone } from '../language/format.ts'
import { type Language, languageChoice, messages } from '../language/language.ts'
import { useAnswer } from '../parts/answer.ts'
import { Combobox } from '../parts/combobox.tsx'
import { titleOf } from '../parts/failed.tsx'
import { Icon } from '../parts/icon.tsx'
import { hrefOf, isTemplate } from './link-pattern.ts'
import { forgetAll } from './remembered.ts'
import { keepsToken, linkPatterns, type Theme, theme, timeZone, token } from './state.ts'
import './settings.css'

const say = messages(
  {
    title: 'Settings',
    token: 'Access token',
    tokenHint:
      'One with the scope “read”. It is sent to this Clew alone, and kept in this tab unless you say otherwise.',
    show: 'Show',
    keep: 'Keep it on this machine',
    check: 'Try it',
    works: (n: number) => `It works: ${n} services.`,
    looks: 'Looks',
    language: 'Language',
    automatic: 'as the browser',
    theme: 'Theme',
    light: 'light',
    dark: 'dark',
    zone: 'Time zone',
    local: 'this machine’s',
    zoneHint: (name: string) =>
      `Times are shown in ${name}. An IANA name such as Asia/Shanghai is taken too.`,
    links: 'Links to logs and metrics',
    linksHint:
      'Shown with each span. In the URL, {trace_id}, {span_id}, {service} and {attribute:KEY} are replaced; a span without one of them has no such link.',
    name: 'Name',
    url: 'URL',
    preview: 'For example',
    badUrl: 'It must begin with http:// or https://.',
    remove: (name: string) => `Remove ${name}`,
    add: 'Add a link',
    forget: 'Forget everything',
    forgetHint: 'Token, language, theme, widths and links, on this machine.',
    about: 'About',
    version: 'Clew',
    api: 'The API, described',
  },
  {
    title: '设置',
    token: '访问令牌',
    tokenHint: '需要具有 “read” 权限。它只发送给此 Clew，除非另行选择，仅保存在此标签页中。',
    show: '显示',
    keep: '保存在本机',
    check: '测试',
    works: (n: number) => `可用：${n} 个服务。`,
    looks: '外观',
    language: '语言',
    automatic: '跟随浏览器',
    theme: '主题',
    light: '浅色',
    dark: '深色',
    zone: '时区',
    local: '本机时区',
    zoneHint: (name: string) => `时间以 ${name} 显示。也可输入 IANA 名称，例如 Asia/Shanghai。`,
    links: '到日志与指标的链接',
    linksHint:
      '显示在每个 span 旁。URL 中的 {trace_id}、{span_id}、{service} 和 {attribute:KEY} 会被替换；缺少其中之一的 span 没有该链接。',
    name: '名称',
    url: 'URL',
    preview: '例如',
    badUrl: '必须以 http:// 或 https:// 开头。',
    remove: (name: string) => `移除 ${name}`,
    add: '添加链接',
    forget: '清除全部',
    forgetHint: '本机上的令牌、语言、主题、宽度与链接。',
    about: '关于',
    version: 'Clew',
    api: 'API 说明',
  },
)

export default function SettingsView() {
  return (
    <div class="settings">
      <h1>{say().title}</h1>
      <TokenSettings />
      <LookSettings />
      <LinkSettings />
      <About />
    </div>
  )
}

function TokenSettings() {
  const [isShown, setIsShown] = useState(false)
  const [result, setResult] = useState<{ services: number } | { failure: Failure }>()
  const check = async () => {
    try {
      const { services } = await question<ServicesAnswer>('v1/services')
      setResult({ services: services.length })
    } catch (error) {
      setResult({ failure: failureOf(error) })
    }
  }
  return (
    <section>
      <h2>{say().token}</h2>
      <p class="quiet">{say().tokenHint}</p>
      <form
        class="settings-row"
        onSubmit={(event) => {
          event.preventDefault()
          void check()
        }}
      >
        <input
          class="token mono"
          {...(isShown ? { type: 'text' } : { type: 'password' })}
          autocomplete="off"
          spellcheck={false}
          aria-label={say().token}
          value={token.value}
          onInput={(event) => {
            token.value = event.currentTarget.value.trim()
            setResult(undefined)
          }}
        />
        <label class="row">
          <input
            type="checkbox"
            checked={isShown}
            onChange={(event) => setIsShown(event.currentTarget.checked)}
          />
          {say().show}
        </label>
        <label class="row">
          <input
            type="checkbox"
            checked={keepsToken.value}
            onChange={(event) => {
              keepsToken.value = event.currentTarget.checked
            }}
          />
          {say().keep}
        </label>
        <button type="submit">{say().check}</button>
      </form>
      <p role="status">
        {result && 'services' in result && (
          <>
            <Icon name="check" size={14} /> {say().works(result.services)}
          </>
        )}
        {result && 'failure' in result && (
          <span class="error-text">
            <Icon name="error" size={14} /> {titleOf(result.failure.kind)} {result.failure.message}
          </span>
        )}
      </p>
    </section>
  )
}

function LookSettings() {
  const [typed, setTyped] = useState<string>()
  const zones = ['local', 'utc', ...Intl.supportedValuesOf('timeZone')]
  return (
    <section>
      <h2>{say().looks}</h2>
      <div class="settings-row">
        <label>
          <span>{say().language}</span>
          <select
            value={languageChoice.value}
            onChange={(event) => {
              languageChoice.value = event.currentTarget.value as Language | 'auto'
            }}
          >
            <option value="auto">{say().automatic}</option>
            <option value="en">English</option>
            <option value="zh">中文</option>
          </select>
        </label>
        <label>
          <span>{say().theme}</span>
          <select
            value={theme.value}
            onChange={(event) => {
              theme.value = event.currentTarget.value as Theme
            }}
          >
            <option value="auto">{say().automatic}</option>
            <option value="light">{say().light}</option>
            <option value="dark">{say().dark}</option>
          </select>
        </label>
        <Combobox
          label={say().zone}
          value={typed ?? timeZone.value}
          options={zones.map((value) =>
            value === 'local' ? { value, note: say().local } : { value },
          )}
          onChange={setTyped}
          onCommit={(value) => {
            setTyped(undefined)
            if (['local', 'utc'].includes(value) || isZone(value)) timeZone.value = value
          }}
        />
      </div>
      <p class="quiet">{say().zoneHint(zone())}</p>
    </section>
  )
}

const SAMPLE: Readonly<Record<string, string>> = {
  trace_id: '5b8efff798038103d269b633813fc60c',
  span_id: 'eee19b7ec3c1b174',
  service: 'checkout',
}

function LinkSettings() {
  const change = (at: number, changes: Partial<{ name: string; url: string }>) => {
    linkPatterns.value = linkPatterns.value.map((each, place) =>
      place === at ? { ...each, ...changes } : each,
    )
  }
  return (
    <section>
      <h2>{say().links}</h2>
      <p class="quiet">{say().linksHint}</p>
      {linkPatterns.value.map((pattern, at) => {
        const isBad = pattern.url !== '' && !isTemplate(pattern.url)
        return (
          <div key={at} class="settings-row">
            <label>
              <span>{say().name}</span>
              <input
                type="text"
                value={pattern.name}
                onInput={(event) => change(at, { name: event.currentTarget.value })}
              />
            </label>
            <label class="wide">
              <span>{say().url}</span>
              <input
                type="text"
                class="mono"
                spellcheck={false}
                value={pattern.url}
                aria-invalid={isBad}
                placeholder="https://logs.example/?q={trace_id}"
                onInput={(event) => change(at, { url: event.currentTarget.value })}
              />
            </label>
            <button
              type="button"
              class="icon"
              aria-label={say().remove(pattern.name)}
              onClick={() => {
                linkPatterns.value = linkPatterns.value.filter((_, place) => place !== at)
              }}
            >
              <Icon name="close" />
            </button>
            <p class={isBad ? 'preview error-text' : 'preview quiet'}>
              {isBad
                ? say().badUrl
                : pattern.url &&
                  `${say().preview}: ${hrefOf(pattern, (name) => SAMPLE[name] ?? 'value') ?? ''}`}
            </p>
          </div>
        )
      })}
      <button
        type="button"
        onClick={() => {
          linkPatterns.value = [...linkPatterns.value, { name: '', url: '' }]
        }}
      >
        <Icon name="plus" /> {say().add}
      </button>
    </section>
  )
}

function About() {
  const document = useAnswer('openapi', (signal) =>
    question<{ info: { version: string } }>('openapi.json', {}, signal),
  )
  return (
    <section>
      <h2>{say().about}</h2>
      <p>
        {say().version} {document.answer?.info.version} ·{' '}
        <a href={new URL('openapi.json', server().base).href}>{say().api}</a>
      </p>
      <div class="settings-row">
        <button
          type="button"
          onClick={() => {
            forgetAll()
            location.reload()
          }}
        >
          {say().forget}
        </button>
        <span class="quiet">{say().forgetHint}</span>
      </div>
    </section>
  )
}
