"""Score, predict and time the models of a bundle on the user's own pictures.

No run uses these modules: nothing that they read can influence a student or a verdict. Only
`teacher_answers` needs torch.
"""
