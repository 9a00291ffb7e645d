"""A machine that tries everything: Clew's functions, interleaved at every call of AWS, on simulated queues and tables.

    choices ──▶ hub ──▶ actors: clients, consumers, folds, readers ──▶ the product ──▶ simulated DynamoDB, SQS
                                                                                             │
                                            oracle: brute force over what was acknowledged ◀─┘

A run is a function of its list of choices: the same list is the same run, and a shorter list of smaller numbers is a
simpler one. docs/simulator.md has the promises, the faults and what was found.
"""
