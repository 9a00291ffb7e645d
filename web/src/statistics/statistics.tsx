export default function Statistics() {
  return <p>statistics</p>
}
