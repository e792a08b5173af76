"""Numbers of torch.optim.AdamW for tests/optim/adamw_test.cpp: three steps on four weights, float64.

usage: python tools/oracle/adamw.py        (prints the rows of kTorchAdamW)
"""
import torch

w = torch.tensor([0.5, -1.0, 2.0, 0.0], dtype=torch.float64, requires_grad=True)
grads = torch.tensor([[0.1, -0.2, 0.0, 1e-12], [0.3, 0.1, 0.0, -2e-12], [-0.2, 0.4, 1e3, 1e-12]], dtype=torch.float64)
optimizer = torch.optim.AdamW([w], lr=1e-2, betas=(0.9, 0.95), eps=1e-20, weight_decay=0.1)
for g in grads:
    w.grad = g.clone()
    optimizer.step()
    print("{" + ", ".join(f"{x:.17g}" for x in w.tolist()) + "},")
