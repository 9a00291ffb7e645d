export default function Trace() {
  return <p>trace</p>
}
