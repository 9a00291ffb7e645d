"""The capacity model: what a load asks of AWS, what that costs, and what must be set for it.

    load ──▶ stages (the product's own code) ──▶ counting (a store that counts as DynamoDB bills) ──▶ traffic
    traffic, and CPU that `bench` has measured ──▶ cost ◀── units, prices
    recorded figures, and AWS's quotas ──▶ scale, sampling ──▶ docs/scale.md, docs/sampling.md

`bench` measures with these modules; they import nothing of it. They read the results that it has recorded.
"""
