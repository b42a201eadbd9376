"""AWS through boto3: whose credentials these are, ECR as registry, EKS as cluster, and what went wrong, in words."""
