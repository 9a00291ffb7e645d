"""The laptop stack: production's functions, template and events, in one process.

    client ─HTTP─▶ server ─▶ gateway ─▶ app.app ─▶ journal ─▶ queue ─▶ event_source_mapping ─▶ consumer
                  (waitress)  (API Gateway)        (a file)   (SQS)     (Lambda's poller)        │
                                                     schedule (EventBridge) ─▶ summarise ─▶ tables (DynamoDB)

`gateway`, `event_source_mapping` and `schedule` only shape events as AWS does. SQS and DynamoDB are moto in this
process (`fake_aws`; `moto/` corrects it), or whatever AWS_ENDPOINT_URL points at. `stack.LaptopStack` puts them
together.
"""
