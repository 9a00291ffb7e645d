export default function Topology() {
  return <p>topology</p>
}
