# Plans of merge requests: any branch of the project may look at what there is, and at nothing that is kept in it. A merge
# request from a fork has the fork's path in its token, so it gets nothing.
resource "aws_iam_role" "reader" {
  count = var.gitlab.merge_requests ? 1 : 0

  name                 = "${var.name}-gitlab-reader"
  description          = "Plans of merge requests of ${var.gitlab.project} for ${var.environment}; changes nothing"
  max_session_duration = 3600
  assume_role_policy   = jsonencode(local.trust["read"])

  depends_on = [aws_iam_openid_connect_provider.gitlab]
}

# AWS keeps it up to date with what a newer provider asks for.
resource "aws_iam_role_policy_attachment" "reader" {
  count = var.gitlab.merge_requests ? 1 : 0

  role       = aws_iam_role.reader[0].name
  policy_arn = "arn:aws:iam::aws:policy/ReadOnlyAccess"
}

# ReadOnlyAccess also reads what is kept in things. A plan needs of that its own state and AWS's public parameters.
resource "aws_iam_role_policy" "reader" {
  count = var.gitlab.merge_requests ? 1 : 0

  name = "no-data"
  role = aws_iam_role.reader[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "NoData"
        Effect = "Deny"
        Action = [
          "athena:GetQueryResults*", "dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:GetRecords", "dynamodb:Query",
          "dynamodb:Scan", "ec2:GetConsoleOutput", "ec2:GetConsoleScreenshot", "ecr:BatchGetImage",
          "ecr:GetDownloadUrlForLayer", "kinesis:GetRecords", "lambda:GetFunction", "logs:FilterLogEvents",
          "logs:GetLogEvents", "logs:GetLogRecord", "logs:GetQueryResults", "logs:StartLiveTail", "logs:StartQuery",
          "rds:DownloadDBLogFilePortion", "secretsmanager:GetSecretValue", "sqs:ReceiveMessage",
        ]
        Resource = "*"
      },
      {
        Sid         = "NoObjectsButTheState"
        Effect      = "Deny"
        Action      = ["s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectTorrent"]
        NotResource = "arn:aws:s3:::${var.state}"
      },
      {
        Sid         = "NoParametersButPublicOnes"
        Effect      = "Deny"
        Action      = ["ssm:GetParameter", "ssm:GetParameterHistory", "ssm:GetParameters", "ssm:GetParametersByPath"]
        NotResource = "arn:aws:ssm:*::parameter/aws/service/*"
      },
    ]
  })
}
